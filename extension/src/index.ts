import { charts, kernel, sidebar, status } from './plugins';

export default [kernel, sidebar, charts, status];
