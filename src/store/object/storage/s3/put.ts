/** Writes an object in one piece. */
import type { S3Client } from './client.ts'
import { CHECKSUM_BYTES } from './constants.ts'
import { md5 } from './md5.ts'

/** @throws as ObjectStorage's `put` */
export async function putObject(
  client: S3Client,
  key: string,
  pieces: readonly Uint8Array[],
  size: number,
  outer: AbortSignal | undefined
): Promise<void> {
  const signal = client.signalWith(outer)
  const checksum = size > CHECKSUM_BYTES ? undefined : md5(pieces)
  const headers = {
    'content-type': 'application/octet-stream',
    ...(checksum === undefined ? {} : { 'content-md5': checksum.toString('base64') })
  }
  await client.writing(key, signal, async () => {
    const etag = await client.run(`cannot write ${key} to`, { signal }, async signal => {
      const answer = await client.ask({ method: 'PUT', key, headers, body: pieces }, signal)
      return answer.headers.etag ?? ''
    })
    // Nearly all servers prove with the ETag that they have the bytes. Where it is another thing, at least something must be
    // there; of which size is not asked, because another node may write the same key.
    if (checksum !== undefined && etag.includes(checksum.toString('hex'))) return
    const found = await client.storedSize(key, size, signal)
    if (checksum === undefined && found !== size) {
      throw client.wronglyStored(key, size, `${found} bytes are there`)
    }
  })
}
