/** An answer of the server that says no. */

export class S3Error extends Error {
  override readonly name = 'S3Error'
  readonly code: string
  readonly status: number
  /** More elements of the answer, such as the region that would have been right. */
  readonly details: Readonly<Record<string, string>>

  constructor(code: string, status: number, message: string, details: Readonly<Record<string, string>> = {}) {
    super(message)
    this.code = code
    this.status = status
    this.details = details
  }
}

export const noSuchBucket = () => new S3Error('NoSuchBucket', 404, 'The specified bucket does not exist')
export const noSuchKey = () => new S3Error('NoSuchKey', 404, 'The specified key does not exist')
export const noSuchUpload = () => new S3Error('NoSuchUpload', 404, 'The specified upload does not exist')
export const invalidArgument = (message: string) => new S3Error('InvalidArgument', 400, message)
export const malformedXml = () => new S3Error('MalformedXML', 400, 'The XML is not well-formed')
export const preconditionFailed = () =>
  new S3Error('PreconditionFailed', 412, 'At least one of the preconditions did not hold')
