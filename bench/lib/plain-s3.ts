/** The S3 server without our store: what the store is compared with. */
import { Agent, request } from 'node:http'
import { Client } from 'minio'
import { s3Options } from './s3-options.ts'

/** Presigned URLs are good for so long. */
const EXPIRES_S = 3600

export class PlainS3 {
  readonly bucket: string
  readonly client: Client
  readonly #agent: Agent

  /** @param atOnce most requests at a time */
  constructor(atOnce: number) {
    const { endpoint, bucket, accessKey, secretKey, region } = s3Options()
    const { hostname, port, protocol } = new URL(endpoint)
    this.bucket = bucket
    this.client = new Client({
      endPoint: hostname,
      port: Number(port),
      useSSL: protocol === 'https:',
      accessKey: accessKey!,
      secretKey: secretKey!,
      region: region ?? 'us-east-1'
    })
    this.#agent = new Agent({ keepAlive: true, maxSockets: atOnce })
  }

  async getUrl(key: string): Promise<string> {
    return await this.client.presignedGetObject(this.bucket, key, EXPIRES_S)
  }

  async putUrl(key: string): Promise<string> {
    return await this.client.presignedPutObject(this.bucket, key, EXPIRES_S)
  }

  /** One request with a small body, its answer read to the end. */
  async request(
    method: 'GET' | 'PUT',
    url: string,
    { body, headers = {} }: { readonly body?: Uint8Array; readonly headers?: Record<string, string> } = {}
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const sent = request(url, { method, agent: this.#agent, headers }, response => {
      const { statusCode = 0 } = response
      response.resume()
      response.on('end', () =>
        statusCode >= 200 && statusCode < 300 ? resolve() : reject(new Error(`${statusCode}`))
      )
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
    await promise
  }

  /** Deletes all objects whose keys begin so. */
  async remove(prefix: string): Promise<void> {
    const left = this.client.listObjectsV2(this.bucket, prefix, true)
    const names = await Array.fromAsync(left, ({ name }: { name: string }) => name)
    if (names.length > 0) await this.client.removeObjects(this.bucket, names)
  }

  close(): void {
    this.#agent.destroy()
  }
}
