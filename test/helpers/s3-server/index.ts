export {
  type Fault,
  type FaultKind,
  type FaultMatcher,
  type FaultOptions,
  Faults,
  internalError,
  type Place,
  slowDown
} from './faults.ts'
export type { LoggedRequest, RequestLog } from './log.ts'
export type { Objects } from './objects.ts'
export type { Operation } from './request.ts'
export { S3TestServer, type S3TestServerOptions } from './server.ts'
