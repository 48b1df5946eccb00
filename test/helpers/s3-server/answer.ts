/** What the server answers, before it is put on the wire. */
import { S3Error } from './errors.ts'
import { document, type Xml } from './xml.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: readonly Uint8Array[]
  /** What Content-Length says when there is no body, as for a HEAD. */
  readonly length?: number
}

export const empty = (status: number, headers: Answer['headers'] = {}): Answer => ({
  status,
  headers,
  body: []
})

export function xml(root: string, content: Xml): Answer {
  const headers = { 'content-type': 'application/xml' }
  return { status: 200, headers, body: [Buffer.from(document(root, content))] }
}

export function errorAnswer(error: unknown, resource: string): Answer {
  const known =
    error instanceof S3Error ? error : new S3Error('InternalError', 500, `The test server failed: ${error}`)
  const { code, message, status, details } = known
  return { ...xml('Error', { Code: code, Message: message, Resource: resource, ...details }), status }
}

export function byteLength(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0)
}
