/** What a storage can do besides whose objects are files of this machine. */
import type { FileHandle } from 'node:fs/promises'

export interface LocalFiles {
  /**
   * Opens an object, to be read from again and again. It stays readable when the object is deleted or replaced.
   *
   * @throws ObjectNotFoundError
   */
  open(key: string): Promise<FileHandle>
}
