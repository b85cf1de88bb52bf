import type { ISettingRegistry } from '@jupyterlab/settingregistry';

export interface Settings {
  readonly rate: number;
  readonly window: number;
  readonly statusBar: boolean;
}

export const DEFAULTS: Settings = { rate: 2, window: 5, statusBar: true };

/** The composite values; the schema has checked them, and a missing one is the default. */
export function settingsOf(found: ISettingRegistry.ISettings): Settings {
  const { rate, window, statusBar } = found.composite;
  return {
    rate: typeof rate === 'number' ? rate : DEFAULTS.rate,
    window: typeof window === 'number' ? window : DEFAULTS.window,
    statusBar: typeof statusBar === 'boolean' ? statusBar : DEFAULTS.statusBar
  };
}
