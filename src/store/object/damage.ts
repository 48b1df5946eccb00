/** Reading a blob's objects through, mending what can be mended, and setting the rest aside. */
import { CV_BYTES, GROUP_BYTES, GROUP_CHUNKS } from '../../bao/constants.ts'
import { CorruptSourceError } from '../../bao/errors.ts'
import { groupCount, outboardBytes } from '../../bao/geometry.ts'
import { kernel } from '../../bao/kernel/index.ts'
import { type HashedBlob, OutboardBuilder } from '../../bao/outboard.ts'
import type { Hash } from '../../hash.ts'
import { OutboardSpool } from '../outboard-spool.ts'
import { checkOutboard } from './check-outboard.ts'
import type { ObjectContext } from './context.ts'
import { checkFragment, FragmentLayout } from './fragment.ts'
import { fragmentBytes } from './fragment-bytes.ts'
import { type Fragment, formatBody, formatFragment } from './fragment-name.ts'
import { dataKey, hasOutboard, outboardKey, partialPrefix, quarantineKey } from './layout.ts'
import { Parts } from './parts.ts'
import { readInto } from './read-into.ts'
import { ObjectNotFoundError, ObjectTooShortError } from './storage/errors.ts'
import type { Slice } from './storage/index.ts'
import { putStream } from './storage/put-stream.ts'

export interface CheckOptions {
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes read since the last call. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/**
 * What was found of a complete blob: all right; its outboard was missing or wrong and has been written anew; its data has
 * another hash; or it is gone.
 */
export type DataState = 'good' | 'mended' | 'wrong' | 'gone'

/**
 * Reads a complete blob's data through, and its outboard, which is written anew when it is not what the data says.
 *
 * @param size bytes of the data object
 */
export async function checkData(
  { storage, cache }: ObjectContext,
  hash: Hash,
  size: number,
  { signal, onBytes }: CheckOptions = {}
): Promise<DataState> {
  const spool = OutboardSpool.inSystemFolder()
  try {
    const builder = new OutboardBuilder(spool.add)
    for await (const piece of storage.read({ key: dataKey(hash), offset: 0, length: size }, { signal })) {
      builder.push(piece)
      onBytes?.(piece.length)
      await spool.relieve()
    }
    const blob = builder.finish()
    if (!blob.hash.equals(hash)) return 'wrong'
    if (!hasOutboard(size) || (await isOutboardRight(storage, spool, blob, signal))) return 'good'
    await putStream(storage, outboardKey(hash), outboardBytes(size), spool.inOrder(blob), { signal })
    // Whoever was reading meanwhile has brought the old one.
    cache.forget(outboardKey(hash))
    return 'mended'
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return 'gone'
    throw error
  } finally {
    await spool.close()
  }
}

/**
 * Whether a complete blob can be believed without reading all of its data: every node of its outboard is right, and so is its
 * last group, which proves the size.
 *
 * @param size bytes of the data object, at least one
 */
export async function isBelievable(
  { storage }: ObjectContext,
  hash: Hash,
  size: number,
  { signal, onBytes }: CheckOptions = {}
): Promise<boolean> {
  const first = groupCount(size) - 1
  const cv = new Uint8Array(CV_BYTES)
  const group = new Uint8Array(size - first * GROUP_BYTES)
  try {
    let expected: Uint8Array | undefined = hash.bytes
    if (hasOutboard(size)) {
      const outboard = { key: outboardKey(hash), offset: 0, length: outboardBytes(size) }
      expected = await checkOutboard(hash, size, counted(storage.read(outboard, { signal }), onBytes))
      if (expected === undefined) return false
    }
    await readInto(storage, dataKey(hash), first * GROUP_BYTES, group, signal)
    onBytes?.(group.length)
    kernel.subtree(group, first * GROUP_CHUNKS, first === 0, cv)
    return Buffer.compare(cv, expected) === 0
  } catch (error) {
    // What is gone is found to be so by whoever reads on.
    if (error instanceof ObjectNotFoundError) return false
    throw error
  }
}

/** Puts an object where nobody takes it for one of ours. @returns `to`; undefined when the object is gone */
export async function setAside(
  { storage }: ObjectContext,
  key: string,
  to: string
): Promise<string | undefined> {
  try {
    await storage.move(key, to)
    return to
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return undefined
    throw error
  }
}

/** @param name of a fragment. @returns its new key; undefined when it is gone */
export async function setFragmentAside(
  context: ObjectContext,
  hash: Hash,
  name: string
): Promise<string | undefined> {
  return await setAside(context, `${partialPrefix(hash)}${name}`, quarantineKey(hash, name, Date.now()))
}

/**
 * Puts a blob's data where nobody takes it for a blob's, and the outboard beside it: it tells which groups of the data are good.
 *
 * @returns their new keys; undefined of what is gone
 */
export async function setBlobAside(
  context: ObjectContext,
  hash: Hash
): Promise<{ readonly data: string | undefined; readonly outboard: string | undefined }> {
  const now = Date.now()
  const data = await setAside(context, dataKey(hash), quarantineKey(hash, 'data', now))
  const outboard = await setAside(context, outboardKey(hash), quarantineKey(hash, 'outboard', now))
  return { data, outboard }
}

/**
 * Reads a fragment through.
 *
 * @returns whether it is right; undefined when it is gone
 */
export async function isFragmentRight(
  { storage }: ObjectContext,
  hash: Hash,
  fragment: Fragment,
  { signal, onBytes }: CheckOptions = {}
): Promise<boolean | undefined> {
  // As if it had its data, wherever that is.
  const layout = new FragmentLayout({ size: fragment.size, spans: fragment.spans })
  const bytes = new Uint8Array(layout.bytes)
  try {
    let filled = 0
    for (const slice of slicesOf(hash, fragment)) {
      for await (const piece of storage.read(slice, { signal })) {
        bytes.set(piece, filled)
        filled += piece.length
        onBytes?.(piece.length)
      }
    }
    const read = async (offset: number, target: Uint8Array): Promise<void> => {
      target.set(bytes.subarray(offset, offset + target.length))
    }
    await checkFragment(hash, layout, read, signal)
    return true
  } catch (error) {
    // A body that was cut off is as wrong as one with other bytes.
    if (error instanceof CorruptSourceError || error instanceof ObjectTooShortError) return false
    if (error instanceof ObjectNotFoundError) return undefined
    throw error
  }
}

/** Where a fragment's data and nodes are, in order. */
function* slicesOf(hash: Hash, fragment: Fragment): Generator<Slice, void, undefined> {
  const { size, spans, body } = fragment
  const key = `${partialPrefix(hash)}${formatFragment(fragment)}`
  if (body !== undefined) {
    const parts = new Parts(size)
    const bodyKey = `${partialPrefix(hash)}${formatBody(size, body)}`
    for (const span of spans)
      yield { key: bodyKey, offset: span.from * GROUP_BYTES, length: parts.bytesOf(span) }
  }
  yield { key, offset: 0, length: fragmentBytes(fragment) }
}

/** Compares the outboard that was computed with the one that is stored, without holding either. */
async function isOutboardRight(
  storage: ObjectContext['storage'],
  spool: OutboardSpool,
  blob: HashedBlob,
  signal: AbortSignal | undefined
): Promise<boolean> {
  const key = outboardKey(blob.hash)
  const length = outboardBytes(blob.size)
  if ((await storage.stat(key, { signal }))?.size !== length) return false
  const stored = storage.read({ key, offset: 0, length }, { signal })[Symbol.asyncIterator]()
  let rest = new Uint8Array(0)
  try {
    for await (const piece of spool.inOrder(blob)) {
      for (let at = 0; at < piece.length; ) {
        if (rest.length === 0) {
          const next = await stored.next()
          if (next.done === true) return false
          rest = next.value.slice()
          continue
        }
        const count = Math.min(rest.length, piece.length - at)
        if (Buffer.compare(rest.subarray(0, count), piece.subarray(at, at + count)) !== 0) return false
        rest = rest.subarray(count)
        at += count
      }
    }
    return rest.length === 0
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return false
    throw error
  } finally {
    await stored.return?.()
  }
}

async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  onBytes: ((bytes: number) => void) | undefined
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    onBytes?.(piece.length)
    yield piece
  }
}
