import type { Task } from '../model.js';

export async function agentTask(task: Task): Promise<number[]> {
  throw new Error(`nobody knows how to ${task.what}`);
}
