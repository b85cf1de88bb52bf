/** Names of the commands, in one place. */

export const Commands = {
  sidebar: 'gpures-lab:open-sidebar',
  chart: 'gpures-lab:open-chart',
  layout: 'gpures-lab:default-layout',
  pause: 'gpures-lab:pause-charts',
  park: 'gpures-lab:park',
  insert: 'gpures-lab:insert-first-cell',
  dashboard: 'gpures-lab:open-dashboard',
  reconnect: 'gpures-lab:reconnect'
} as const;

export const CATEGORY = 'GPU-resident grains';
