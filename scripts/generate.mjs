// npm run generate: writes what is made of other sources into files that are committed.
// `--check` writes nothing and fails where a file differs.
import { readFileSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { gatewayCrd } from '#src/model/crd.js';
import { fleet } from '../deploy/grafana/src/fleet.ts';
import { gateway } from '../deploy/grafana/src/gateway.ts';
import { pageModule } from './page.mjs';

const root = new URL('..', import.meta.url);
const files = {
  'deploy/crd/gateways.yaml': `# Made of src/model/resource.ts by npm run generate: change it there.\n${stringify(gatewayCrd(), { lineWidth: 0, aliasDuplicateObjects: false })}`,
  'src/telemetry/page/document.generated.ts': await pageModule(),
  'deploy/grafana/fleet.json': `${JSON.stringify(fleet(), null, 2)}\n`,
  'deploy/grafana/gateway.json': `${JSON.stringify(gateway(), null, 2)}\n`,
};

let differs = false;
for (const [path, text] of Object.entries(files)) {
  const url = new URL(path, root);
  let present = null;
  try {
    present = readFileSync(url, 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  if (present === text) continue;
  if (process.argv.includes('--check')) {
    console.error(`generate: ${path} is not what its sources say: npm run generate`);
    differs = true;
  } else {
    writeFileSync(url, text);
    console.log(path);
  }
}
process.exitCode = differs ? 1 : 0;
