import { LabIcon } from '@jupyterlab/ui-components';

/** A ring with its slots, one of them taken. */
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16">
  <g class="jp-icon3" fill="#616161">
    <path d="M12 3a9 9 0 0 0-9 9h3.5A5.5 5.5 0 0 1 12 6.5z"/>
    <path d="M13 3.05V6.6A5.5 5.5 0 0 1 17.4 11h3.55A9 9 0 0 0 13 3.05z" opacity=".55"/>
    <path d="M20.95 13H17.4a5.5 5.5 0 0 1-4.4 4.4v3.55A9 9 0 0 0 20.95 13z"/>
    <path d="M11 20.95V17.4A5.5 5.5 0 0 1 6.6 13H3.05A9 9 0 0 0 11 20.95z" opacity=".55"/>
    <circle cx="12" cy="12" r="2.4"/>
  </g>
</svg>`;

export const grainsIcon = new LabIcon({ name: 'gpures-lab:grains', svgstr: SVG });
