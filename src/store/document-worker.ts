/** A thread of its own for big documents: reading one takes up to a second, a hostile one for ever. */
import { parentPort } from 'node:worker_threads';
import { type DocumentFormat, readDocument } from './document.js';
import { editDocument } from './edit.js';
import type { EndpointPatch } from './store.js';

export type DocumentJob =
  | { readonly work: 'read'; readonly text: string; readonly format: DocumentFormat; readonly fallbackName: string }
  | { readonly work: 'edit'; readonly text: string; readonly format: DocumentFormat; readonly edit: EndpointPatch };

export function runJob(job: DocumentJob): unknown {
  if (job.work === 'read') return readDocument(job.text, job.format, job.fallbackName);
  return editDocument(job.text, job.format, job.edit);
}

parentPort?.on('message', (job: DocumentJob) => {
  try {
    parentPort?.postMessage({ result: runJob(job) });
  } catch (error) {
    parentPort?.postMessage({ error: (error as Error).message });
  }
});
