/**
 * The kernel's calls: what they read and write in memory, and how they divide trees and job tables into eights for
 * `hash8`. Language: AssemblyScript; `../build.js` compiles it, `../wasm.ts` wraps it.
 *
 * Chunks and parents alike are gathered until eight can be hashed together; what is left over is hashed with idle lanes,
 * which read and write bytes that nobody looks at.
 *
 * Memory is laid out by hand and never grows, so views of it stay attached. No argument is checked here: `../check.ts`
 * does that before.
 */
import { CHUNK_END, CHUNK_START, HASH8_END, hash8, PARENT, ROOT } from './hash8';

// Sizes in bytes, and counts; the same as in ../../constants.ts and ../kernel.ts.
const BLOCK: u32 = 64;
const CHUNK: u32 = 1024;
const GROUP: u32 = 16384;
const CV: u32 = 32;
const PAIR: u32 = 64;
const LANES: u32 = 8;
const GROUP_CHUNKS: u32 = 16;
const GROUP_LEVELS: u32 = 4;
const RUN_CHUNKS: u32 = 1024;
const RUN_GROUPS: u32 = 64;
const MAX_JOBS: u32 = 2048;
const MAX_INPUT: u32 = 1024 * 1024 + 128 * 1024;
const CARRY_BYTES: u32 = 64 * CV;

// A job: its bytes, and the offsets of its words in bytes.
const JOB: u32 = 6 * 4;
const JOB_FLAGS: usize = 0;
const JOB_OFFSET: usize = 4;
const JOB_LENGTH: usize = 8;
const JOB_CHUNK_LOW: usize = 12;
const JOB_CHUNK_HIGH: usize = 16;
const JOB_EXPECTED: usize = 20;
const FLAG_PARENT: u32 = 1;
const FLAG_ROOT: u32 = 2;

// Memory, behind that of hash8.
/** The last chunk, if it is short, padded with zeros. */
const TAIL: usize = HASH8_END;
/** Job numbers (u32) of the parents in STAGED, and of the leaves that wait for `checkLeaves`. */
const STAGED_JOBS: usize = TAIL + CHUNK;
const LEAF_JOBS: usize = STAGED_JOBS + LANES * 4;
/** Up to eight pairs that lay scattered in the input. */
const STAGED: usize = LEAF_JOBS + RUN_GROUPS * 4;
/** Chaining values of one level of the tree. Behind the last one is room for what idle lanes read and write. */
const CVS: usize = STAGED + LANES * PAIR;
/** Results of `subtree`, in pre-order. */
export const PAIRS: usize = CVS + RUN_CHUNKS * CV + LANES * PAIR;
export const JOBS: usize = PAIRS + RUN_GROUPS * PAIR;
export const CARRY: usize = JOBS + MAX_JOBS * JOB;
/** Directly behind CARRY, so that a job's `expected` is an offset from CARRY in both cases. */
export const INPUT: usize = CARRY + CARRY_BYTES;
/** First byte not used: idle lanes read up to seven chunks behind the input. */
const END: usize = INPUT + MAX_INPUT + (LANES - 1) * CHUNK;

/** Where `subtree` and `parent` leave their result. */
export const RESULT: usize = CVS;
/** Where `parent` finds its pair. */
export const PARENT_PAIR: usize = STAGED;

if (END > (<usize>memory.size() << 16)) unreachable();

/**
 * Checks the jobs at JOBS against CARRY and INPUT.
 *
 * Jobs of one kind are gathered and hashed together, so they are not done in order; `good` is the first bad one so far,
 * and jobs behind it no longer matter.
 *
 * @returns how many jobs were good before the first bad one
 */
export function verify(count: u32): u32 {
  let good = count;
  let staged: u32 = 0;
  let leaves: u32 = 0;
  for (let i: u32 = 0; i < good; i++) {
    const job = JOBS + i * JOB;
    const flags = load<u32>(job, JOB_FLAGS);
    const source = INPUT + load<u32>(job, JOB_OFFSET);
    const length = load<u32>(job, JOB_LENGTH);
    const isRoot = (flags & FLAG_ROOT) != 0;
    if ((flags & FLAG_PARENT) != 0) {
      if (isRoot) {
        hashParents(source, 0, 1, ROOT);
        good = compare(i, CVS, good);
        continue;
      }
      memory.copy(STAGED + staged * PAIR, source, PAIR);
      store<u32>(STAGED_JOBS + staged * 4, i);
      if (++staged == LANES) {
        good = checkStaged(staged, good);
        staged = 0;
      }
    } else if (length == GROUP && !isRoot) {
      store<u32>(LEAF_JOBS + leaves * 4, i);
      if (++leaves == RUN_GROUPS) {
        good = checkLeaves(leaves, good);
        leaves = 0;
      }
    } else {
      hashTree(source, length, load<u32>(job, JOB_CHUNK_LOW), load<u32>(job, JOB_CHUNK_HIGH), isRoot, false);
      good = compare(i, CVS, good);
    }
  }
  good = checkStaged(staged, good);
  return checkLeaves(leaves, good);
}

/** Hashes the `count` parents in STAGED, at most eight. */
function checkStaged(count: u32, good: u32): u32 {
  hashParents(STAGED, PAIR, count, 0);
  for (let i: u32 = 0; i < count; i++) {
    good = compare(load<u32>(STAGED_JOBS + i * 4), CVS + i * CV, good);
  }
  return good;
}

/** Hashes the `count` leaves in LEAF_JOBS, all of one group, at most 64: first all chunks, then level by level. */
function checkLeaves(count: u32, good: u32): u32 {
  for (let i: u32 = 0; i < count; i++) {
    const job = JOBS + load<u32>(LEAF_JOBS + i * 4) * JOB;
    hashChunks(
      INPUT + load<u32>(job, JOB_OFFSET),
      GROUP_CHUNKS,
      load<u32>(job, JOB_CHUNK_LOW),
      load<u32>(job, JOB_CHUNK_HIGH),
      0,
      CVS + i * GROUP_CHUNKS * CV
    );
  }
  for (let pairs = (count * GROUP_CHUNKS) >> 1; pairs >= count && pairs > 0; pairs >>= 1) {
    hashParents(CVS, PAIR, pairs, 0);
  }
  for (let i: u32 = 0; i < count; i++) {
    good = compare(load<u32>(LEAF_JOBS + i * 4), CVS + i * CV, good);
  }
  return good;
}

/** @returns the smaller of `good` and, if the chaining value at `computed` is not the one it expects, `job` */
function compare(job: u32, computed: usize, good: u32): u32 {
  const expected = CARRY + load<u32>(JOBS + job * JOB, JOB_EXPECTED);
  const difference = v128.or(
    v128.xor(v128.load(computed), v128.load(expected)),
    v128.xor(v128.load(computed, 16), v128.load(expected, 16))
  );
  return v128.any_true(difference) ? min(job, good) : good;
}

/** Hashes the subtree of `length` bytes at INPUT into RESULT; with `withPairs`, leaves its pairs at PAIRS. */
export function subtree(length: u32, chunkLow: u32, chunkHigh: u32, isRoot: bool, withPairs: bool): void {
  hashTree(INPUT, length, chunkLow, chunkHigh, isRoot, withPairs);
}

/** Hashes the pair at PARENT_PAIR into RESULT. */
export function parent(isRoot: bool): void {
  hashParents(PARENT_PAIR, 0, 1, isRoot ? ROOT : 0);
}

/**
 * Hashes a subtree into the first of CVS: all chunks, then level by level; the odd one out goes up as it is, which
 * gives BLAKE3's tree (its left subtrees are always full).
 */
function hashTree(source: usize, length: u32, chunkLow: u32, chunkHigh: u32, isRoot: bool, withPairs: bool): void {
  let count = max<u32>(1, (length + CHUNK - 1) / CHUNK);
  hashLevel0(source, length, count, chunkLow, chunkHigh, isRoot && count == 1 ? ROOT : 0);
  const groups = (count + GROUP_CHUNKS - 1) / GROUP_CHUNKS;
  for (let level: u32 = 0; count > 1; level++) {
    const pairs = count >> 1;
    if (withPairs && level >= GROUP_LEVELS) {
      writePairs(pairs, level - GROUP_LEVELS, groups);
    }
    // Read before hashing: idle lanes write behind the last parent.
    const odd = CVS + (count - 1) * CV;
    const odd0 = v128.load(odd);
    const odd1 = v128.load(odd, 16);
    hashParents(CVS, PAIR, pairs, isRoot && count == 2 ? ROOT : 0);
    if ((count & 1) != 0) {
      v128.store(CVS + pairs * CV, odd0);
      v128.store(CVS + pairs * CV, odd1, 16);
    }
    count = (count + 1) >> 1;
  }
}

/** Hashes all `count` chunks of `length` bytes into CVS. */
function hashLevel0(source: usize, length: u32, count: u32, chunkLow: u32, chunkHigh: u32, rootFlag: u32): void {
  const whole = length / CHUNK;
  hashChunks(source, whole, chunkLow, chunkHigh, rootFlag, CVS);
  if (whole == count) {
    return;
  }
  const rest = length % CHUNK;
  memory.copy(TAIL, source + whole * CHUNK, rest);
  memory.fill(TAIL + rest, 0, CHUNK - rest);
  const blocks = max<u32>(1, (rest + BLOCK - 1) / BLOCK);
  const chunk = (<u64>chunkHigh << 32 | chunkLow) + whole;
  // Stride and counter step are 0: all lanes hash the same chunk.
  hash8(
    TAIL, 0, blocks, rest - (blocks - 1) * BLOCK,
    <u32>chunk, <u32>(chunk >> 32), 0,
    CHUNK_START, CHUNK_END | rootFlag, 0,
    CVS + whole * CV
  );
}

/** Hashes `count` whole chunks that follow each other. */
function hashChunks(source: usize, count: u32, chunkLow: u32, chunkHigh: u32, rootFlag: u32, target: usize): void {
  let chunk = <u64>chunkHigh << 32 | chunkLow;
  for (let done: u32 = 0; done < count; done += LANES) {
    hash8(
      source + done * CHUNK, CHUNK, CHUNK / BLOCK, BLOCK,
      <u32>chunk, <u32>(chunk >> 32), 1,
      CHUNK_START, CHUNK_END | rootFlag, 0,
      target + done * CV
    );
    chunk += LANES;
  }
}

/**
 * Hashes `count` pairs, `stride` bytes apart, into CVS. The pairs may be in CVS themselves: a batch is read before its
 * results are written, and those take half the room.
 */
function hashParents(source: usize, stride: u32, count: u32, rootFlag: u32): void {
  for (let done: u32 = 0; done < count; done += LANES) {
    hash8(source + done * stride, stride, 1, BLOCK, 0, 0, 0, 0, 0, PARENT | rootFlag, CVS + done * CV);
  }
}

/**
 * Copies the first `count` pairs of CVS, whose members cover `2^level` groups each, to their places in PAIRS.
 *
 * Before a node in pre-order come as many nodes as there are groups left of it (all nodes whose left half ends at or
 * before its start), and those of its ancestors in whose left half it lies.
 */
function writePairs(count: u32, level: u32, groups: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const start = i << (level + 1);
    let place = start;
    for (let half: u32 = 2 << level; half < groups; half <<= 1) {
      const isLeft = (start & half) == 0;
      const middle = (start & ~(half - 1)) + half;
      if (isLeft && middle < groups) place++;
    }
    memory.copy(PAIRS + place * PAIR, CVS + i * PAIR, PAIR);
  }
}
