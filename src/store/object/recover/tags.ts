/** Brings back the tags from their objects. */
import type { Tag } from '../../index.ts'
import type { ObjectContext } from '../context.ts'
import { setAside } from '../damage.ts'
import { isTagKey, quarantineKeyOfTag, TAGS_PREFIX, tagKey } from '../layout.ts'
import type { ObjectInfo } from '../storage/index.ts'
import { readTag } from '../tags.ts'
import type { RecoveryJob } from './blob.ts'

/** Tags that are looked at at the same time. */
const AT_ONCE = 16

/** Tags that the index has and that are looked at at a time. */
const PAGE = 100

export async function recoverTags(job: RecoveryJob): Promise<void> {
  const { storage, metadata } = job.context
  const mayHaveLost = metadata.countTags() > 0
  const objects = storage.list({ prefix: TAGS_PREFIX, signal: job.signal })
  await forEach(objects, object => recoverTag(job, object))
  if (mayHaveLost) await forEach(tagsOf(job.context), tag => forgetLost(job, tag))
}

async function recoverTag(
  { context, counts, signal, onOrphaned, onQuarantined }: RecoveryJob,
  { key, size }: ObjectInfo
): Promise<void> {
  if (!isTagKey(key)) {
    counts.orphaned++
    onOrphaned(key)
    return
  }
  await context.mutex.run(key, async () => {
    let tag = await readTag(context, key, size, signal)
    if (tag === undefined) {
      // It may have been set or deleted since it was listed.
      const now = await context.storage.stat(key, { signal })
      if (now === undefined) return
      if (now.size !== size) tag = await readTag(context, key, now.size, signal)
    }
    if (tag === undefined) {
      if (context.leaveAsIs === true) return
      const to = await setAside(context, key, quarantineKeyOfTag(key, Date.now()))
      if (to !== undefined) onQuarantined(key, to)
      return
    }
    context.metadata.setTag(tag)
    counts.tags++
  })
}

async function forgetLost({ context, counts, signal }: RecoveryJob, { name }: Tag): Promise<void> {
  const key = tagKey(name)
  await context.mutex.run(key, async () => {
    if ((await context.storage.stat(key, { signal })) !== undefined) return
    if (context.metadata.deleteTag(name)) counts.lost++
  })
}

function* tagsOf({ metadata }: ObjectContext): Generator<Tag, void, undefined> {
  let after: string | undefined
  for (;;) {
    const tags = metadata.listTags({ after, limit: PAGE })
    yield* tags
    after = tags.at(-1)?.name
    if (tags.length < PAGE) return
  }
}

/** Some at a time. Waits for all that were begun, also when one fails. */
async function forEach<T>(
  items: AsyncIterable<T> | Iterable<T>,
  action: (item: T) => Promise<void>
): Promise<void> {
  const running = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | undefined
  try {
    for await (const item of items) {
      while (running.size >= AT_ONCE) await Promise.race(running)
      if (failure !== undefined) break
      const task = action(item).catch(error => {
        failure ??= { error }
      })
      running.add(task)
      void task.finally(() => running.delete(task))
    }
  } finally {
    await Promise.all(running)
  }
  if (failure !== undefined) throw failure.error
}
