/**
 * What a storage can do besides whose objects are files of this machine: they can be read from without being copied on the way,
 * and written to in any place.
 */
import type { FileHandle } from 'node:fs/promises'
import type { CopyTarget } from '../../hash-pool/messages.ts'
import type { Slice, StorageOptions } from './index.ts'

export interface LocalFiles {
  /**
   * Opens an object, to be read from again and again. It stays readable when the object is deleted or replaced.
   *
   * @throws ObjectNotFoundError
   */
  open(key: string): Promise<FileHandle>

  /** Begins an object whose bytes come in any order. Nobody sees it until it is saved. */
  begin(): Promise<GrowingObject>

  /**
   * Opens an object that was begun so, by whatever process, and is to grow further. Others may be at it: who writes the same bytes
   * to the same places does no harm.
   *
   * @throws ObjectNotFoundError
   */
  resume(key: string): Promise<GrowingObject>
}

/**
 * A small object that says something of one that grows, beside it: when that one is deleted, this one need not be there after a power
 * failure. So there is less to wait for.
 */
export interface Note {
  readonly key: string
  readonly pieces: readonly Uint8Array[]
}

/**
 * An object that grows in place. The one kind that is seen before it is whole: whoever reads it has to know from elsewhere which of
 * its bytes are there.
 */
export interface GrowingObject {
  /** For threads that write to it by themselves. Good until it is closed. */
  target(): Promise<CopyTarget>

  /** Writes pieces one behind the other, at the same time as others do. The buffers are the caller's again when it has ended. */
  write(pieces: readonly Uint8Array[], offset: number): Promise<void>

  /** Copies bytes of another object. @throws ObjectNotFoundError, StorageError when it ends before */
  copy(slice: Slice, offset: number, options?: StorageOptions): Promise<void>

  /** Fills `target` with bytes that were written. @throws ObjectTooShortError */
  read(offset: number, target: Uint8Array): Promise<void>

  /**
   * Waits until all that has been written is on disk, under this key, which is the same each time. When it has failed because of the
   * disk, it fails ever after: the system tells only once what it could not write.
   *
   * @param note is put when this one is saved, and not before
   * @throws ObjectNotFoundError when it is under its key no longer: it was deleted, replaced, or has got another one
   */
  save(key: string, note?: Note): Promise<void>

  /** Gives up what is held open; what was never saved is removed. May be called again. */
  close(): Promise<void>
}
