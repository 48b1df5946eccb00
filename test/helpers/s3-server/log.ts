/** What the server was asked. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Operation, S3Request } from './request.ts'

export interface LoggedRequest {
  readonly operation: Operation
  readonly method: string
  readonly bucket: string
  readonly key: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: IncomingHttpHeaders
  /** As it came, such as `bytes=0-9`. */
  readonly range: string | undefined
  /** Of the request's body, as announced. */
  readonly bytesIn: number
  /** Of the answer's body, as far as they went out. */
  bytesOut: number
  /** 0 until there is an answer. */
  status: number
}

export class RequestLog {
  readonly #requests: LoggedRequest[] = []

  get all(): readonly LoggedRequest[] {
    return this.#requests
  }

  /** Those of an operation, optionally only with keys that match. */
  of(operation: Operation, key?: RegExp): LoggedRequest[] {
    return this.#requests.filter(
      request => request.operation === operation && (key === undefined || request.key.search(key) >= 0)
    )
  }

  clear(): void {
    this.#requests.length = 0
  }

  add({ operation, method, bucket, key, query, headers }: S3Request): LoggedRequest {
    const request = {
      operation,
      method,
      bucket,
      key,
      query: Object.fromEntries(query),
      headers,
      range: headers.range,
      bytesIn: Number(headers['content-length'] ?? 0),
      bytesOut: 0,
      status: 0
    }
    this.#requests.push(request)
    return request
  }
}
