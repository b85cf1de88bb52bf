import { charts, kernel, sidebar, status } from './plugins';
import { timed } from './timed';

export default [timed(kernel), timed(sidebar), timed(charts), timed(status)];
