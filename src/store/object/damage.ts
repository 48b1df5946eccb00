/** Reading a blob's objects through, mending what can be mended, and setting the rest aside. */

import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CorruptSourceError } from '../../bao/errors.ts'
import { outboardBytes } from '../../bao/geometry.ts'
import { type HashedBlob, OutboardBuilder } from '../../bao/outboard.ts'
import type { Hash } from '../../hash.ts'
import { OutboardSpool } from '../outboard-spool.ts'
import type { ObjectContext } from './context.ts'
import { checkFragment, FragmentLayout } from './fragment.ts'
import { type Fragment, formatFragment } from './fragment-name.ts'
import { dataKey, hasOutboard, outboardKey, partialPrefix, quarantineKey } from './layout.ts'
import { ObjectNotFoundError } from './storage/errors.ts'
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
  { storage }: ObjectContext,
  hash: Hash,
  size: number,
  { signal, onBytes }: CheckOptions = {}
): Promise<DataState> {
  const spool = new OutboardSpool(join(tmpdir(), `blobs-${randomBytes(12).toString('hex')}.outboard`))
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
    return 'mended'
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return 'gone'
    throw error
  } finally {
    await spool.close()
  }
}

/** Puts an object where nobody takes it for a blob. @returns its new key */
export async function setAside(
  { storage }: ObjectContext,
  hash: Hash,
  key: string,
  what: string
): Promise<string> {
  const to = quarantineKey(hash, what, Date.now())
  await storage.move(key, to)
  return to
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
  const layout = new FragmentLayout(fragment)
  const bytes = new Uint8Array(layout.bytes)
  const key = `${partialPrefix(hash)}${formatFragment(fragment)}`
  try {
    let filled = 0
    for await (const piece of storage.read({ key, offset: 0, length: bytes.length }, { signal })) {
      bytes.set(piece, filled)
      filled += piece.length
      onBytes?.(piece.length)
    }
    const read = async (offset: number, target: Uint8Array): Promise<void> => {
      target.set(bytes.subarray(offset, offset + target.length))
    }
    await checkFragment(hash, layout, read, signal)
    return true
  } catch (error) {
    if (error instanceof CorruptSourceError) return false
    if (error instanceof ObjectNotFoundError) return undefined
    throw error
  }
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
  } finally {
    await stored.return?.()
  }
}
