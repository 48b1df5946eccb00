/** Requests made and signed by the minio client, with the server's raw answer. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Client } from 'minio'
import { text } from './xml.ts'

export interface Asked {
  readonly method: string
  readonly bucketName?: string
  readonly objectName?: string
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Of an error, when the answer has a body. */
  readonly code: string | undefined
}

/** All answers there are: the client is not to judge them. */
const EVERY_STATUS = Array.from({ length: 400 }, (_, i) => 200 + i)

export async function ask(client: Client, asked: Asked, payload: string | Buffer = ''): Promise<RawAnswer> {
  const response: IncomingMessage = await client.makeRequestAsync(
    asked,
    Buffer.from(payload),
    EVERY_STATUS,
    ''
  )
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece)
  return rawAnswer(response.statusCode ?? 0, response.headers, Buffer.concat(pieces))
}

/** The same without the client, for URLs that carry their signature and for requests that nobody signed. */
export async function askUrl(url: string, init: RequestInit = {}): Promise<RawAnswer> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(20_000) })
  const body = Buffer.from(await response.arrayBuffer())
  return rawAnswer(response.status, Object.fromEntries(response.headers), body)
}

function rawAnswer(status: number, headers: IncomingHttpHeaders, body: Buffer): RawAnswer {
  return { status, headers, body, code: text(body.subarray(0, 10_000).toString(), 'Code') }
}
