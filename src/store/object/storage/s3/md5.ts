import { createHash } from 'node:crypto'

/** In base64, it goes into `Content-MD5` for the server to check; in hex, it is the ETag of what was put in one piece. */
export function md5(pieces: readonly Uint8Array[]): Buffer {
  const hash = createHash('md5')
  for (const piece of pieces) hash.update(piece)
  return hash.digest()
}
