/**
 * An S3 server for tests, in memory, on 127.0.0.1. It has only the calls that the S3 storage uses, and answers them as a real
 * server does (`s3-server.test.ts` holds it to that); and it fails as real servers do, when a test tells it to (`faults`).
 *
 * What it does not do: virtual-host addresses, versions, access rights, encryption, lifecycle, payloads signed chunk by chunk.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { listen } from '../listen.ts'
import { type Answer, empty, errorAnswer, xml } from './answer.ts'
import { type Body, readBody } from './body.ts'
import {
  bucketLocation,
  createBucket,
  deleteBucket,
  deleteObjects,
  listBuckets,
  listObjects
} from './bucket-calls.ts'
import { Buckets } from './buckets.ts'
import { S3Error } from './errors.ts'
import { type FaultKind, Faults } from './faults.ts'
import { type LoggedRequest, RequestLog } from './log.ts'
import {
  abortUpload,
  completeUpload,
  createUpload,
  listParts,
  listUploads,
  uploadPart,
  uploadPartCopy
} from './multipart-calls.ts'
import { copyObject, deleteObject, getObject, putObject } from './object-calls.ts'
import { Objects } from './objects.ts'
import { parseRequest, type S3Request } from './request.ts'
import { checkSignature, type Identity } from './signature.ts'
import { failRequest, Hung, send } from './wire.ts'

export interface S3TestServerOptions {
  /** 0 for one that is free. @default 0 */
  readonly port?: number
  /** Of the bucket that is there from the start. @default 'blobs-test' */
  readonly bucket?: string
  /** @default 'us-east-1' */
  readonly region?: string
}

const HOST = '127.0.0.1'

export class S3TestServer implements AsyncDisposable {
  readonly accessKey = `TEST${randomBytes(8).toString('hex').toUpperCase()}`
  readonly secretKey = randomBytes(20).toString('hex')
  readonly region: string
  readonly bucket: string
  readonly faults = new Faults()
  readonly requests = new RequestLog()
  /** The objects of `bucket`, past all requests. */
  readonly objects: Objects
  readonly #buckets = new Buckets()
  #port: number
  #server: Server | undefined

  private constructor({ port = 0, bucket = 'blobs-test', region = 'us-east-1' }: S3TestServerOptions) {
    this.#port = port
    this.bucket = bucket
    this.region = region
    this.objects = new Objects(this.#buckets.create(bucket))
  }

  static async start(options: S3TestServerOptions = {}): Promise<S3TestServer> {
    const server = new S3TestServer(options)
    await server.#listen()
    return server
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `http://${HOST}:${this.#port}`
  }

  /** Ends listening and cuts all connections. What is held stays. */
  async stop(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  /** Listens again, on the same port and with the same objects; cuts all connections when it was not stopped. */
  async restart(): Promise<void> {
    await this.stop()
    await this.#listen()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #listen(): Promise<void> {
    const server = createServer((incoming, response) => void this.#serve(incoming, response))
    // Longer than any client keeps an idle connection: else a request may meet a connection that is just being closed.
    server.keepAliveTimeout = 300_000
    this.#port = await listen(server, this.#port)
    this.#server = server
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    // A client that leaves is no failure of the server's.
    incoming.on('error', () => {})
    response.on('error', () => {})
    try {
      await this.#answer(incoming, response)
    } catch {
      // Hung on purpose, or the client has left: nobody is there to be answered.
    }
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let request: S3Request
    try {
      request = parseRequest(incoming)
    } catch (error) {
      incoming.resume()
      return await send(response, errorAnswer(error, incoming.url ?? ''), undefined, {
        bytesOut: 0
      } as LoggedRequest)
    }
    const logged = this.requests.add(request)
    const fault = this.faults.take(request)
    await failRequest(incoming, fault)
    if (fault?.kind === 'delay') await new Promise(resolve => setTimeout(resolve, fault.ms))
    const answer = await this.#tryCall(incoming, request, fault)
    logged.status = answer.status
    await send(response, request.method === 'HEAD' ? withoutBody(answer) : answer, fault, logged)
  }

  async #tryCall(
    incoming: IncomingMessage,
    request: S3Request,
    fault: FaultKind | undefined
  ): Promise<Answer> {
    try {
      checkSignature(request, this as Identity)
      const body = await readBody(incoming, request)
      return failedAnswer(request, fault) ?? altered(this.#call(withFault(request, fault), body), fault)
    } catch (error) {
      if (error instanceof Hung || (incoming.destroyed && !incoming.complete)) throw error
      // What is left of the body is read, so that the connection can be used again.
      incoming.resume()
      return errorAnswer(error, request.path)
    }
  }

  #call(request: S3Request, body: Body): Answer {
    if (request.operation === 'ListBuckets') return listBuckets(this.#buckets)
    if (request.operation === 'CreateBucket') return createBucket(this.#buckets, request)
    const bucket = this.#buckets.get(request.bucket)
    switch (request.operation) {
      case 'HeadBucket':
        return empty(200)
      case 'DeleteBucket':
        return deleteBucket(this.#buckets, bucket)
      case 'GetBucketLocation':
        return bucketLocation(this.region)
      case 'ListObjectsV2':
        return listObjects(bucket, request)
      case 'DeleteObjects':
        return deleteObjects(bucket, request, body)
      case 'ListMultipartUploads':
        return listUploads(bucket, request)
      case 'PutObject':
        return putObject(bucket, request, body)
      case 'CopyObject':
        return copyObject(this.#buckets, bucket, request)
      case 'GetObject':
      case 'HeadObject':
        return getObject(bucket, request)
      case 'DeleteObject':
        return deleteObject(bucket, request)
      case 'CreateMultipartUpload':
        return createUpload(bucket, request)
      case 'UploadPart':
        return uploadPart(bucket, request, body)
      case 'UploadPartCopy':
        return uploadPartCopy(this.#buckets, bucket, request)
      case 'CompleteMultipartUpload':
        return completeUpload(bucket, request, body)
      case 'AbortMultipartUpload':
        return abortUpload(bucket, request)
      case 'ListParts':
        return listParts(bucket, request)
      default:
        throw new S3Error('NotImplemented', 501, 'The test server does not have this call')
    }
  }
}

/** The answer of a fault that has nothing done. */
function failedAnswer(request: S3Request, fault: FaultKind | undefined): Answer | undefined {
  switch (fault?.kind) {
    case 'error':
      return errorAnswer(new S3Error(fault.code, fault.status, fault.message ?? fault.code), request.path)
    case 'error-in-200':
      return { ...errorAnswer(new S3Error(fault.code, 500, fault.code), request.path), status: 200 }
    case 'html':
      return {
        status: fault.status,
        headers: { 'content-type': 'text/html' },
        body: [Buffer.from('<!DOCTYPE html><html><body>Hello</body></html>')]
      }
    case 'lose':
      return lostAnswer(request)
    default:
      return undefined
  }
}

function lostAnswer(request: S3Request): Answer {
  const etag = `"${'0'.repeat(32)}"`
  switch (request.operation) {
    case 'CompleteMultipartUpload':
      return xml('CompleteMultipartUploadResult', { Bucket: request.bucket, Key: request.key, ETag: etag })
    case 'CopyObject':
      return xml('CopyObjectResult', { LastModified: new Date().toISOString(), ETag: etag })
    default:
      return empty(200, { etag })
  }
}

function withFault(request: S3Request, fault: FaultKind | undefined): S3Request {
  if (fault?.kind !== 'ignore-range') return request
  const { range: _, ...headers } = request.headers
  return { ...request, headers }
}

function altered(answer: Answer, fault: FaultKind | undefined): Answer {
  if (fault?.kind !== 'empty-etag') return answer
  const text = Buffer.concat(answer.body).toString()
  return { ...answer, body: [Buffer.from(text.replace(/<ETag>.*<\/ETag>/, '<ETag></ETag>'))] }
}

function withoutBody(answer: Answer): Answer {
  return { ...answer, body: [], length: answer.length ?? 0 }
}
