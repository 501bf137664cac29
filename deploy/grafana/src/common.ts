/** What both dashboards are made of. Queries use the variables `job`, `gateway` and `peer` as Grafana fills them in. */

import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import {
  MappingType,
  type ValueMapping,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as Table } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as Timeseries } from '@grafana/grafana-foundation-sdk/timeseries';

export const SOURCE = { type: 'prometheus', uid: '$datasource' };
export const SECONDS = 's';
export const RATIO = 'percentunit';

/** Grid units; a row has 24. */
export const WIDE = 24;
export const HALF = 12;
export const THIRD = 8;
export const QUARTER = 6;

/** Over the time that the panel shows. */
export function range(expr: string, legend: string, refId = 'A'): DataqueryBuilder {
  return new DataqueryBuilder().datasource(SOURCE).expr(expr).legendFormat(legend).refId(refId).range();
}

/** Now, one value a series. */
export function now(expr: string, refId = 'A', legend = ''): DataqueryBuilder {
  const query = new DataqueryBuilder().datasource(SOURCE).expr(expr).refId(refId).instant();
  return legend === '' ? query.format(PromQueryFormat.Table) : query.legendFormat(legend);
}

export function stat(title: string, expr: string, unit: string, description: string): Stat {
  const panel = new Stat().title(title).description(description).datasource(SOURCE).unit(unit);
  return panel
    .withTarget(now(expr, 'A', title))
    .height(4)
    .span(QUARTER);
}

export function lines(title: string, unit: string, description: string, ...queries: DataqueryBuilder[]): Timeseries {
  const panel = new Timeseries().title(title).description(description).datasource(SOURCE).unit(unit).min(0);
  return panel.targets(queries).fillOpacity(8).spanNulls(false).height(8).span(HALF);
}

/** @param names columns by what the query calls them; others are left out. Those of values are "Value #A" and so on. */
export function table(
  title: string,
  description: string,
  names: Readonly<Record<string, string>>,
  ...queries: DataqueryBuilder[]
): Table {
  const panel = new Table().title(title).description(description).datasource(SOURCE).targets(queries);
  if (queries.length > 1) panel.withTransformation({ id: 'merge', options: {} });
  const include = { include: { names: Object.keys(names) } };
  panel.withTransformation({ id: 'filterFieldsByName', options: include });
  const order = Object.fromEntries(Object.keys(names).map((name, index) => [name, index]));
  panel.withTransformation({ id: 'organize', options: { indexByName: order, renameByName: names } });
  return panel.height(8).span(HALF);
}

export function values(names: Readonly<Record<string, { text: string; color: string }>>): ValueMapping[] {
  return [{ type: MappingType.ValueToText, options: names }];
}

/** A dashboard with the variables that pick data source and job. */
export function board(uid: string, title: string, description: string): dashboard.DashboardBuilder {
  const builder = new dashboard.DashboardBuilder(title).uid(uid).description(description).tags(['corax']).editable();
  const source = new dashboard.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus');
  const job = choice('job', 'Job', 'label_values(corax_node_info, job)').includeAll(true).allValue('.+').multi(true);
  return builder.time({ from: 'now-6h', to: 'now' }).refresh('30s').timezone('browser').variables([source, job]);
}

export function choice(name: string, label: string, query: string): dashboard.QueryVariableBuilder {
  const variable = new dashboard.QueryVariableBuilder(name).label(label).datasource(SOURCE).query(query);
  return variable.refresh(VariableRefresh.OnTimeRangeChanged).sort(VariableSort.AlphabeticalAsc);
}
