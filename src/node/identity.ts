/**
 * The node's private key. Its file holds libp2p's protobuf of an Ed25519 key, as other implementations of libp2p write it
 * too, and belongs to its owner alone.
 */
import { randomBytes } from 'node:crypto'
import { chmod, open, readFile, rm, stat } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { TargetExistsError } from '../store/errors.ts'
import { renameToNew } from '../store/folders.ts'
import { explained, isNotFound } from '../store/fs-errors.ts'

/** The file of the key cannot be used. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError'
  readonly code = 'ERR_IDENTITY'
}

const OWNER_ONLY = 0o600
const OTHERS = 0o077

/** Where there are no hard links, a key that another process is just making may be seen empty for a moment. */
const EMPTY_RETRIES = 50
const EMPTY_RETRY_MS = 20

export interface IdentityOptions {
  /** Told what was put right. */
  readonly onWarning?: ((message: string) => void) | undefined
}

/**
 * Reads the key, or makes one if there is none. Of several processes that do so at the same time, all get the same key.
 *
 * A file that others than its owner can read is made private, with a warning.
 *
 * @throws IdentityError when the file holds no key
 * @throws StoreError when it cannot be read or written
 */
export async function loadOrCreateIdentity(path: string, options: IdentityOptions = {}): Promise<PrivateKey> {
  return await explained(`cannot use the identity ${path}`, async () => {
    const key = await readKey(path, options)
    if (key !== undefined) return key
    await createKey(path)
    const made = await readKey(path, options)
    if (made === undefined)
      throw new IdentityError(`the identity ${path} was removed while it was being made`)
    return made
  })
}

async function readKey(path: string, options: IdentityOptions): Promise<PrivateKey | undefined> {
  for (let attempt = 0; ; attempt++) {
    let bytes: Uint8Array
    try {
      bytes = await readFile(path)
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
    if (bytes.length === 0 && attempt < EMPTY_RETRIES) {
      await wait(EMPTY_RETRY_MS)
      continue
    }
    await makePrivate(path, options)
    return decodeKey(path, bytes)
  }
}

function decodeKey(path: string, bytes: Uint8Array): PrivateKey {
  try {
    return privateKeyFromProtobuf(bytes)
  } catch (cause) {
    throw new IdentityError(
      `${path} holds no private key (${bytes.length} bytes); put back the right file, or remove it to get a new identity`,
      { cause }
    )
  }
}

async function createKey(path: string): Promise<void> {
  const temp = `${path}.${randomBytes(6).toString('hex')}.part`
  const file = await open(temp, 'wx', OWNER_ONLY)
  try {
    try {
      await file.writeFile(privateKeyToProtobuf(await generateKeyPair('Ed25519')))
      await file.sync()
    } finally {
      await file.close()
    }
    await renameToNew(temp, path)
  } catch (error) {
    await rm(temp, { force: true })
    // Somebody else was first: theirs is the identity.
    if (!(error instanceof TargetExistsError)) throw error
  }
}

async function makePrivate(path: string, { onWarning }: IdentityOptions): Promise<void> {
  // Windows has no such bits.
  if (process.platform === 'win32') return
  const { mode } = await stat(path)
  if ((mode & OTHERS) === 0) return
  await chmod(path, OWNER_ONLY)
  onWarning?.(`others could read the private key ${path}; it is now readable by its owner only`)
}
