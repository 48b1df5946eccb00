/**
 * The hash tree: pure functions from bytes to bytes, no I/O. `libp2p-blobs/bao`.
 *
 * @packageDocumentation
 */
export * from './constants.ts'
export * from './decoder.ts'
export * from './encoder.ts'
export * from './errors.ts'
export * from './geometry.ts'
export { createJsKernel, createWasmKernel, type Kernel, kernel } from './kernel/index.ts'
export * from './outboard.ts'
export * from './proven-groups.ts'
export * from './ranges.ts'
