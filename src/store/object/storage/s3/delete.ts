/** Deletes objects, a thousand with each request. */
import type { S3Client } from './client.ts'
import { PAGE_KEYS } from './constants.ts'
import { failureInside, foreignAnswer, S3Failure } from './failure.ts'
import { md5 } from './md5.ts'
import { elements, encodeText, hasElement } from './xml.ts'

/** @throws as ObjectStorage's `delete` */
export async function deleteObjects(
  client: S3Client,
  keys: readonly string[],
  signal: AbortSignal | undefined
): Promise<void> {
  const unique = [...new Set(keys)]
  for (let at = 0; at < unique.length; at += PAGE_KEYS) {
    await deletePage(client, unique.slice(at, at + PAGE_KEYS), signal)
  }
}

async function deletePage(
  client: S3Client,
  keys: readonly string[],
  signal: AbortSignal | undefined
): Promise<void> {
  const [key, second] = keys
  const what =
    second === undefined ? `cannot delete ${key} from` : `cannot delete ${keys.length} objects from`
  const body = Buffer.from(deleteXml(keys.map(key => client.fullKey(key))))
  const headers = { 'content-type': 'application/xml', 'content-md5': md5([body]).toString('base64') }
  await client.run(what, { signal }, async signal => {
    if (second === undefined) return await deleteOne(client, key!, signal)
    const call = { method: 'POST', query: 'delete', headers, body: [body] } as const
    const { status, text } = await client.ask(call, signal)
    if (!hasElement(text, 'DeleteResult')) throw failureInside(status, text) ?? foreignAnswer(NO_RESULT)
    for (const error of elements(text, 'Error')) checkRefused(status, error)
  })
}

const NO_RESULT = 'the answer does not tell what was deleted'

/** Quietly: what is told are only the objects that could not be deleted. */
function deleteXml(fullKeys: readonly string[]): string {
  const list = fullKeys.map(key => `<Object><Key>${encodeText(key)}</Key></Object>`)
  const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/'
  return `<Delete xmlns="${namespace}"><Quiet>true</Quiet>${list.join('')}</Delete>`
}

/** @param error what stands inside the element about one object */
function checkRefused(status: number, error: string): void {
  const failure = failureInside(status, `<Error>${error}</Error>`)
  if (failure !== undefined && failure.code !== 'NoSuchKey') throw failure
}

async function deleteOne(client: S3Client, key: string, signal: AbortSignal): Promise<void> {
  try {
    await client.call(signal, minio => minio.removeObject(client.bucket, client.fullKey(key)))
  } catch (failure) {
    if (!(failure instanceof S3Failure) || failure.code !== 'NoSuchKey') throw failure
  }
}
