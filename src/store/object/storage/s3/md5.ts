import { createHash } from 'node:crypto'

/** What goes into `Content-MD5`, for the server to check. */
export function md5(pieces: readonly Uint8Array[]): string {
  const hash = createHash('md5')
  for (const piece of pieces) hash.update(piece)
  return hash.digest('base64')
}
