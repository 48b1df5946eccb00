/** Brings back the tags from their objects. */
import { Limiter } from '../../limiter.ts'
import { TAGS_PREFIX, tagKey } from '../layout.ts'
import { readInto } from '../read-into.ts'
import type { ObjectInfo } from '../storage/index.ts'
import { decodeTag, MAX_TAG_BYTES } from '../tags.ts'
import type { RecoveryJob } from './blob.ts'

/** Tags that are read at the same time. */
const AT_ONCE = 16

/** Tags that the index has and that are looked at at a time. */
const PAGE = 500

export async function recoverTags(job: RecoveryJob): Promise<void> {
  const { context, counts, signal } = job
  const limiter = new Limiter(AT_ONCE)
  const running = new Set<Promise<void>>()
  let failure: unknown
  for await (const object of context.storage.list({ prefix: TAGS_PREFIX, signal })) {
    const task = limiter
      .run(() => recoverTag(job, object))
      .catch(error => {
        failure ??= error
      })
    running.add(task)
    void task.finally(() => running.delete(task))
    if (running.size >= 2 * AT_ONCE) await Promise.race(running)
    if (failure !== undefined) break
  }
  await Promise.all(running)
  if (failure !== undefined) throw failure

  let after: string | undefined
  for (;;) {
    const tags = context.metadata.listTags({ after, limit: PAGE })
    for (const { name } of tags) {
      const key = tagKey(name)
      await context.mutex.run(key, async () => {
        if ((await context.storage.stat(key, { signal })) !== undefined) return
        if (context.metadata.deleteTag(name)) counts.lost++
      })
    }
    after = tags.at(-1)?.name
    if (tags.length < PAGE) return
  }
}

async function recoverTag(
  { context, counts, signal }: RecoveryJob,
  { key, size }: ObjectInfo
): Promise<void> {
  await context.mutex.run(key, async () => {
    const bytes = new Uint8Array(Math.min(size, MAX_TAG_BYTES))
    await readInto(context.storage, key, 0, bytes, signal)
    const tag = decodeTag(bytes)
    if (tag === undefined || tagKey(tag.name) !== key) {
      counts.corrupt++
      context.notice(
        `${key} in ${context.storage.name} is no tag, or that of another name; it is left as it is`
      )
      return
    }
    context.metadata.setTag(tag)
    counts.tags++
  })
}
