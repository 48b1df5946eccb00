/** How the keys of the configuration are spelt: `blobStore` in code, `blob_store` in the file. */

export type Spelling = 'code' | 'toml'

/** From the spelling in code to each other. */
export const SPELLINGS: Readonly<Record<Spelling, (key: string) => string>> = {
  code: key => key,
  toml: key => key.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

/** A key as it is spelt in code; undefined when it is not spelt as in a file. */
export function fromToml(key: string): string | undefined {
  const inCode = key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return SPELLINGS.toml(inCode) === key ? inCode : undefined
}
