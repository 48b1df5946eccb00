/** What is true only until the machine is started anew. */
import { hashBytes } from '../../bao/outboard.ts'
import { bootId } from '../processes.ts'

let cachedBoot: Uint8Array | undefined

/** 32 bytes that name the time since the machine was started. Undefined where the system does not tell. */
export function thisBoot(): Uint8Array | undefined {
  const id = bootId()
  if (id !== undefined) cachedBoot ??= hashBytes(new TextEncoder().encode(id)).hash.bytes
  return cachedBoot
}
