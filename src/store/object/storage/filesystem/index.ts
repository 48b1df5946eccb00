/**
 * Objects as files: a key is a path below the folder.
 *
 * Several processes may use one folder at the same time, and nothing that another one can change is remembered. An object is
 * written to a file of its own in `.temp` or `.uploads`, which no key can name, and renamed when it is whole. Folders are
 * made when something comes into them, and go when they are empty.
 *
 * Not guaranteed:
 * - Symbolic links are not objects, and links to folders are not followed. That keeps a link that somebody made from leading
 *   us out of the folder; it does not keep out somebody who puts one there between our looking and our opening.
 * - File systems whose names do not tell capital letters apart are safe, because keys have none. Those that forbid names such
 *   as `aux` (Windows) fail for keys that have them.
 */
export { FilesystemStorage, type FilesystemStorageOptions } from './storage.ts'
