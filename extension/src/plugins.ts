/** What is added to JupyterLab: the kernel that is followed, and the four ways to look at it. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILabShell, ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, IThemeManager, WidgetTracker } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { Token } from '@lumino/coreutils';
import { Signal } from '@lumino/signaling';

import { DASHBOARD_CELL, FIRST_CELL, insertCell } from './cells';
import { Chart } from './charts/chart';
import type { Figure } from './charts/figures';
import { FIGURES, isFigure } from './charts/figures';
import { CATEGORY, Commands } from './commands';
import { ActiveKernel } from './kernel/active';
import { DEFAULTS, settingsOf } from './settings';
import { Panel } from './sidebar/panel';
import { statusShown, StatusItem } from './statusbar';

const SETTINGS = 'gpures-lab:settings';

const IActiveKernel = new Token<ActiveKernel>('gpures-lab:IActiveKernel');

export const kernel: JupyterFrontEndPlugin<ActiveKernel> = {
  id: SETTINGS,
  description: "Follows the active notebook's kernel and what its grains do.",
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ISettingRegistry],
  provides: IActiveKernel,
  activate: (
    _app: JupyterFrontEnd,
    tracker: INotebookTracker,
    registry: ISettingRegistry | null
  ): ActiveKernel => {
    const active = new ActiveKernel(tracker, DEFAULTS);
    registry
      ?.load(SETTINGS)
      .then(found => {
        active.configure(settingsOf(found));
        found.changed.connect(() => active.configure(settingsOf(found)));
      })
      .catch(() => undefined); // the defaults hold
    return active;
  }
};

export const sidebar: JupyterFrontEndPlugin<void> = {
  id: 'gpures-lab:sidebar',
  description: "Adds the sidebar that lists the kernel's grains.",
  autoStart: true,
  requires: [IActiveKernel],
  optional: [ILabShell, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    active: ActiveKernel,
    labShell: ILabShell | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ): void => {
    const { commands } = app;
    if (labShell) {
      const panel = new Panel(active, {
        openCharts: () => void commands.execute(Commands.layout)
      });
      labShell.add(panel, 'left', { rank: 600 });
      restorer?.add(panel, panel.id);
      commands.addCommand(Commands.sidebar, {
        label: 'Show Grains',
        describedBy: { args: { type: 'object', properties: {} } },
        execute: () => labShell.activateById(panel.id)
      });
    }
    commands.addCommand(Commands.park, {
      label: 'Park the Ring Kernel',
      isEnabled: () => active.state.kind === 'live',
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        await active.link?.control.command('park', null).acknowledged;
      }
    });
    commands.addCommand(Commands.insert, {
      label: 'Insert the First Cell',
      isEnabled: () => active.notebook !== null,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        if (active.notebook) {
          await insertCell(active.notebook, FIRST_CELL, false);
        }
      }
    });
    commands.addCommand(Commands.dashboard, {
      label: 'Insert and Run the Dashboard Cell',
      isEnabled: () => active.state.kind === 'live' || active.state.kind === 'idle',
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        if (active.notebook) {
          await insertCell(active.notebook, DASHBOARD_CELL, true);
        }
      }
    });
    commands.addCommand(Commands.reconnect, {
      label: 'Reconnect to the Kernel’s Grains',
      isEnabled: () => active.link !== null,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => active.link?.reconnect()
    });
    let kind = active.state.kind;
    active.changed.connect((_, state) => {
      if (state.kind !== kind) {
        kind = state.kind; // at each tick it would redraw every menu and the palette
        commands.notifyCommandChanged();
      }
    });
    const { sidebar: show, park, insert, dashboard, reconnect } = Commands;
    for (const command of [...(labShell ? [show] : []), park, insert, dashboard, reconnect]) {
      palette?.addItem({ command, category: CATEGORY });
    }
  }
};

export const charts: JupyterFrontEndPlugin<void> = {
  id: 'gpures-lab:charts',
  description:
    'Adds dockable charts of pool, throughput, latency, queue, kernel cache and messages.',
  autoStart: true,
  requires: [IActiveKernel],
  optional: [ILabShell, ICommandPalette, ILayoutRestorer, IThemeManager],
  activate: (
    app: JupyterFrontEnd,
    active: ActiveKernel,
    labShell: ILabShell | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    themes: IThemeManager | null
  ): void => {
    const { commands, shell } = app;
    const tracker = new WidgetTracker<Chart>({ namespace: 'gpures-lab-charts' });
    const properties = { figure: { type: 'string', enum: Object.keys(FIGURES) } };

    const open = (
      figure: Figure,
      mode?: 'split-right' | 'split-bottom' | 'tab-after',
      ref?: Chart
    ): Chart => {
      const present = tracker.find(chart => chart.figure === figure);
      if (present) {
        return present;
      }
      const chart = new Chart(figure, active, themes);
      // Beside the notebook; a further chart joins the first: thirds are too narrow to read.
      const beside = ref ?? tracker.find(each => each.isAttached);
      // Notebook 7 shows one thing in its main area, and puts others below it.
      shell.add(chart, labShell ? 'main' : 'down', {
        mode: mode ?? (beside ? 'tab-after' : 'split-right'),
        ...(beside ? { ref: beside.id } : {}),
        activate: false
      });
      void tracker.add(chart);
      return chart;
    };

    commands.addCommand(Commands.chart, {
      label: args => (isFigure(args.figure) ? `Open Chart: ${FIGURES[args.figure]}` : 'Open Chart'),
      describedBy: { args: { type: 'object', properties, required: ['figure'] } },
      execute: args => {
        if (!isFigure(args.figure)) {
          throw new Error(`figure: give one of ${Object.keys(FIGURES).join(', ')}`);
        }
        const chart = open(args.figure);
        shell.activateById(chart.id);
        return chart;
      }
    });
    commands.addCommand(Commands.layout, {
      label: 'Open All Charts',
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        // Two on the right, the others behind them: the notebook keeps its place.
        const upper = open('throughput');
        const lower = open('latency', 'split-bottom', upper);
        open('timeline', 'tab-after', upper);
        open('queue', 'tab-after', upper);
        open('kernels', 'tab-after', lower);
        open('pool', 'tab-after', lower);
        if (!labShell) {
          shell.activateById(upper.id); // what is below the notebook is folded away at first
        }
      }
    });
    commands.addCommand(Commands.pause, {
      label: 'Pause or Resume Charts',
      isEnabled: () => tracker.size > 0,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        const running = tracker.find(chart => !chart.isPaused) !== undefined;
        tracker.forEach(chart => chart.pause(running));
      }
    });
    for (const figure of Object.keys(FIGURES)) {
      palette?.addItem({ command: Commands.chart, category: CATEGORY, args: { figure } });
    }
    palette?.addItem({ command: Commands.layout, category: CATEGORY });
    palette?.addItem({ command: Commands.pause, category: CATEGORY });
    if (restorer) {
      void restorer.restore(tracker, {
        command: Commands.chart,
        args: chart => ({ figure: chart.figure }),
        name: chart => chart.figure
      });
    }
  }
};

export const status: JupyterFrontEndPlugin<void> = {
  id: 'gpures-lab:status',
  description: 'Adds pool, throughput and engine state to the status bar.',
  autoStart: true,
  requires: [IActiveKernel],
  optional: [IStatusBar, ISettingRegistry], // Notebook 7 has no status bar
  activate: (
    app: JupyterFrontEnd,
    active: ActiveKernel,
    bar: IStatusBar | null,
    registry: ISettingRegistry | null
  ): void => {
    if (!bar) {
      return;
    }
    let wanted = DEFAULTS.statusBar;
    let shown = false;
    const signal = new Signal<object, void>({});
    const item = new StatusItem(active, () => {
      if (app.commands.hasCommand(Commands.sidebar)) {
        void app.commands.execute(Commands.sidebar);
      }
    });
    const look = (): void => {
      const now = wanted && statusShown(active.state);
      if (now !== shown) {
        shown = now;
        signal.emit();
      }
    };
    bar.registerStatusItem('gpures-lab:status', {
      item,
      align: 'right',
      rank: 60,
      isActive: () => shown,
      activeStateChanged: signal
    });
    active.changed.connect(look);
    registry
      ?.load(SETTINGS)
      .then(found => {
        const read = (): void => {
          wanted = settingsOf(found).statusBar;
          look();
        };
        found.changed.connect(read);
        read();
      })
      .catch(() => undefined);
    look();
  }
};
