/** Gives up uploads that nobody completed. */
import type { SweepOptions } from '../index.ts'
import type { S3Client } from './client.ts'
import { PAGE_KEYS, SIDE_REQUESTS } from './constants.ts'
import { foreignAnswer } from './failure.ts'
import { encode } from './list.ts'
import { abortOnce } from './multipart.ts'
import { elements, hasElement, textOf } from './xml.ts'

/** Where a page of the list begins. */
interface Marker {
  readonly key: string
  readonly id: string
}

interface Begun {
  /** With the bucket's prefix. */
  readonly key: string
  readonly id: string
  /** In ms since 1970; NaN when the server does not say. */
  readonly at: number
}

/** @throws as ObjectStorage's `sweepUploads` */
export async function sweep(
  client: S3Client,
  before: number,
  { signal, of: isWanted = () => true }: SweepOptions
): Promise<void> {
  let marker: Marker | undefined = { key: '', id: '' }
  while (marker !== undefined) {
    const from: Marker = marker
    const page = await client.run('cannot list the uploads of', { signal }, async signal => {
      const { text } = await client.ask({ method: 'GET', query: uploadsQuery(client.prefix, from) }, signal)
      return parseUploads(text, from)
    })
    // What has no date, or belongs to others, is left alone.
    const old = page.uploads.filter(
      ({ key, at }) =>
        at < before && key.startsWith(client.prefix) && isWanted(key.slice(client.prefix.length))
    )
    const rest = old.values()
    const lane = async () => {
      for (const { key, id } of rest) {
        await client.run('cannot give up an upload in', { signal }, async signal => {
          await abortOnce(client, key, id, signal)
        })
      }
    }
    await Promise.all(Array.from({ length: Math.min(SIDE_REQUESTS, old.length) }, lane))
    marker = page.next
  }
}

/** The minio client forgets the upload's id between two pages, and takes ids of digits for numbers. */
function uploadsQuery(prefix: string, { key, id }: Marker): string {
  const query = [`max-uploads=${PAGE_KEYS}`, `prefix=${encode(prefix)}`]
  if (key !== '') query.push(`key-marker=${encode(key)}`)
  if (id !== '') query.push(`upload-id-marker=${encode(id)}`)
  return ['uploads', ...query].join('&')
}

/** @throws S3Failure when this is no page */
export function parseUploads(xml: string, from: Marker): { uploads: Begun[]; next: Marker | undefined } {
  if (!hasElement(xml, 'ListMultipartUploadsResult')) throw foreignAnswer('the answer is no list of uploads')
  const uploads: Begun[] = []
  for (const upload of elements(xml, 'Upload')) {
    const key = textOf(upload, 'Key')
    const id = textOf(upload, 'UploadId')
    if (!key || !id) throw foreignAnswer('the list names no key or no upload')
    uploads.push({ key, id, at: Date.parse(textOf(upload, 'Initiated') ?? '') })
  }
  if (textOf(xml, 'IsTruncated') !== 'true') return { uploads, next: undefined }
  const next = { key: textOf(xml, 'NextKeyMarker') ?? '', id: textOf(xml, 'NextUploadIdMarker') ?? '' }
  const isSame = next.key === from.key && next.id === from.id
  if (next.key === '' || isSame) throw foreignAnswer('the list of uploads does not go on')
  return { uploads, next }
}
