/** BokehJS of exactly the kernel's version: loaded when a chart asks, once a page and version. */

import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { Control } from '../kernel/control';

/** What a chart needs of a model; BokehJS comes without types of its own. */
export interface BokehSource {
  data: Readonly<Record<string, readonly (number | string)[]>>;
  stream(columns: Readonly<Record<string, readonly number[]>>, rollover: number): void;
}

export interface BokehRange {
  factors: readonly string[];
}

export interface BokehDocument {
  get_model_by_name(name: string): unknown;
  clear(): void;
}

export interface BokehJS {
  readonly version: string;
  readonly documents: BokehDocument[];
  readonly embed: {
    embed_item(item: unknown, target: HTMLElement): Promise<unknown>;
  };
}

const loaded = new Map<string, Promise<BokehJS>>();
const LONGEST_SCRIPT = 16 * 1024 * 1024;

export function loadBokeh(version: string, control: Control): Promise<BokehJS> {
  const present = (window as { Bokeh?: BokehJS }).Bokeh;
  if (present?.version === version) {
    return Promise.resolve(present); // a cell's output has brought it
  }
  let found = loaded.get(version);
  if (!found) {
    found = fetchBokeh(version, control);
    found.catch(() => loaded.delete(version)); // asked again with the next chart
    loaded.set(version, found);
  }
  return found;
}

async function fetchBokeh(version: string, control: Control): Promise<BokehJS> {
  const script = (await fromServer(version)) ?? (await fromKernel(version, control));
  const bokeh = await evaluated(script);
  if (bokeh?.version !== version) {
    throw new Error(`BokehJS ${version} was asked for, ${bokeh?.version ?? 'nothing'} came`);
  }
  return bokeh;
}

/** The server's copy, which the browser keeps; null if it has another version, or none. */
async function fromServer(version: string): Promise<Blob | null> {
  const url = URLExt.join(
    PageConfig.getBaseUrl(),
    'gpures_lab',
    'bokeh',
    encodeURIComponent(version),
    'bokeh.min.js'
  );
  try {
    const settings = ServerConnection.makeSettings();
    // 'default': JupyterLab's own choice puts a time stamp into the address, against every cache.
    const answer = await ServerConnection.makeRequest(url, { cache: 'default' }, settings);
    return answer.ok ? await answer.blob() : null;
  } catch {
    return null;
  }
}

/** The kernel's copy: Lab and kernel in two environments. */
async function fromKernel(version: string, control: Control): Promise<Blob> {
  const answer = (await control.query('bokehjs')) as { version?: unknown; gzip?: unknown };
  if (answer?.version !== version || typeof answer.gzip !== 'string') {
    throw new Error(`the kernel has no BokehJS ${version}`);
  }
  const packed = Uint8Array.from(atob(answer.gzip), character => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).blob();
}

/** Run the script, and leave the page's own Bokeh, if it has one, as it was. */
async function evaluated(script: Blob): Promise<BokehJS | undefined> {
  if (script.size > LONGEST_SCRIPT) {
    throw new Error(`${script.size} bytes are no BokehJS`);
  }
  const page = window as { Bokeh?: BokehJS | undefined };
  const before = page.Bokeh;
  page.Bokeh = undefined;
  const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
  const node = document.createElement('script');
  try {
    await new Promise<void>((resolve, reject) => {
      node.onload = () => resolve();
      node.onerror = () => reject(new Error('BokehJS could not be run'));
      node.src = url;
      document.head.append(node);
    });
    return page.Bokeh;
  } finally {
    page.Bokeh = before ?? page.Bokeh;
    node.remove();
    URL.revokeObjectURL(url);
  }
}
