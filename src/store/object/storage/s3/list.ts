/** Lists objects page by page; the next page is on its way while one is looked at. */
import { checkKey } from '../checks.ts'
import type { ListOptions, ObjectInfo } from '../index.ts'
import type { S3Client } from './client.ts'
import { PAGE_KEYS } from './constants.ts'
import { foreignAnswer } from './failure.ts'
import { elements, hasElement, textOf } from './xml.ts'

interface Page {
  readonly objects: readonly ObjectInfo[]
  /** The last key of the page, when there are more; with the bucket's prefix. */
  readonly next: string | undefined
}

/** @throws as ObjectStorage's `list` */
export async function* listObjects(
  client: S3Client,
  { prefix = '', after = '', signal }: ListOptions
): AsyncGenerator<ObjectInfo, void, undefined> {
  client.check(signal)
  const leaving = new AbortController()
  const ending = signal === undefined ? leaving.signal : AbortSignal.any([leaving.signal, signal])
  const load = (from: string) => {
    const page = loadPage(client, client.fullKey(prefix), from, ending)
    // Whoever leaves the loop does not hear of it.
    page.catch(() => undefined)
    return page
  }
  try {
    let loading: Promise<Page> | undefined = load(after === '' ? '' : client.fullKey(after))
    while (loading !== undefined) {
      const page: Page = await loading
      loading = page.next === undefined ? undefined : load(page.next)
      for (const object of page.objects) {
        yield object
        client.check(signal)
      }
    }
  } finally {
    leaving.abort()
  }
}

async function loadPage(client: S3Client, prefix: string, after: string, signal: AbortSignal): Promise<Page> {
  return await client.run('cannot list the objects of', { signal }, async signal => {
    const { text } = await client.ask({ method: 'GET', query: listQuery(prefix, after) }, signal)
    return parsePage(text, client.prefix, after)
  })
}

/** @param after a key with the bucket's prefix; empty for the first page */
export function listQuery(prefix: string, after: string, most = PAGE_KEYS): string {
  const query: [string, string][] = [
    ['encoding-type', 'url'],
    ['list-type', '2'],
    ['max-keys', String(most)],
    ['prefix', prefix]
  ]
  if (after !== '') query.push(['start-after', after])
  return query.map(([name, value]) => `${name}=${encode(value)}`).join('&')
}

/** As signatures want it. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    sign => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`
  )
}

/**
 * @param storagePrefix is taken off the keys
 * @param after the key that the page was to begin after
 * @throws S3Failure when this is no page
 */
export function parsePage(xml: string, storagePrefix: string, after: string): Page {
  if (!hasElement(xml, 'ListBucketResult')) throw foreignAnswer('the answer is no list of objects')
  const isEncoded = textOf(xml, 'EncodingType') === 'url'
  const objects: ObjectInfo[] = []
  let last = after
  for (const content of elements(xml, 'Contents')) {
    const key = decodeKey(textOf(content, 'Key'), isEncoded)
    const size = Number(textOf(content, 'Size') || Number.NaN)
    const modifiedAt = Date.parse(textOf(content, 'LastModified') ?? '')
    if (key === undefined || !Number.isSafeInteger(size))
      throw foreignAnswer('the list names no key or no size')
    // Each page begins after the last key of the one before: a server that forgets this would be listed for ever.
    if (last !== '' && !isAfter(key, last)) throw foreignAnswer('the list is not in the order of its keys')
    last = key
    if (!key.startsWith(storagePrefix)) continue
    const ours = key.slice(storagePrefix.length)
    // Others may keep things in the bucket, under keys that no object of ours can have.
    if (isKey(ours))
      objects.push({ key: ours, size, modifiedAt: Number.isNaN(modifiedAt) ? Date.now() : modifiedAt })
  }
  const isTruncated = textOf(xml, 'IsTruncated') === 'true'
  if (isTruncated && last === after) throw foreignAnswer('the list says that it goes on, and has no keys')
  return { objects, next: isTruncated ? last : undefined }
}

function decodeKey(text: string | undefined, isEncoded: boolean): string | undefined {
  if (text === undefined || !isEncoded) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

/** In the order of their bytes, which is not that of UTF-16. */
function isAfter(key: string, other: string): boolean {
  return Buffer.compare(Buffer.from(key), Buffer.from(other)) > 0
}

function isKey(key: string): boolean {
  try {
    checkKey(key)
    return true
  } catch {
    return false
  }
}
