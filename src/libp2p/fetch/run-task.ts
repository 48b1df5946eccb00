/** Carries out a task: sends the request, and hands on what arrives. */
import type { Hash } from '../../hash.ts'
import { type ReceiveSink, receive } from '../../protocol/receive.ts'
import type { Getter } from '../getter.ts'
import type { Landing } from './landing.ts'
import type { Task } from './task.ts'

export interface RunTaskOptions {
  /** The hash sequence, or the only blob. */
  readonly root: Hash
  readonly landing: Landing
  readonly maxBlobBytes: number
  readonly idleTimeoutMs: number
  /** Something has arrived. */
  readonly onProgress: () => void
}

/**
 * Resolves when all has come. All that has arrived is in the store then, and also when it throws.
 *
 * @throws what `Getter.ask` and `receive` throw; the reason of the task's signal when it was stopped
 */
export async function runTask(
  getter: Getter,
  task: Task,
  { root, landing, maxBlobBytes, idleTimeoutMs, onProgress }: RunTaskOptions
): Promise<void> {
  const { provider, signal } = task
  const request = task.request(root)
  await getter.ask(
    provider.address,
    request,
    async ({ peer, response, hasStatus }) => {
      provider.peer = peer
      const sink: ReceiveSink = {
        links: async () => task.links,
        open: blob => landing.open(task, task.partAt(blob.index), blob)
      }
      const onBytes = (bytes: number): void => provider.arrived(task, bytes)
      const progress = receive(request, response, sink, { hasStatus, maxBlobBytes, onBytes })
      for await (const { index, isDone } of progress) {
        if (isDone) task.finish(task.partAt(index))
        onProgress()
      }
    },
    { signal, idleTimeoutMs }
  )
}
