/** Inputs on disk: hexadecimal text, one a line; lines that begin with # say what they are. */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const CORPUS = fileURLToPath(new URL('corpus/', import.meta.url))
export const FINDINGS = fileURLToPath(new URL('findings/', import.meta.url))

/** The inputs of earlier runs that are worth starting from, none where there were none. */
export function readCorpus(target: string): Buffer[] {
  return read(join(CORPUS, `${target}.hex`))
}

export function writeCorpus(target: string, inputs: readonly Buffer[]): void {
  mkdirSync(CORPUS, { recursive: true })
  writeFileSync(join(CORPUS, `${target}.hex`), inputs.map((input) => `${input.toString('hex')}\n`).join(''))
}

/** What once failed. */
export function readFindings(target: string): Buffer[] {
  return findingFiles()
    .filter((file) => targetOfFinding(file) === target)
    .flatMap((file) => read(join(FINDINGS, file)))
}

export function findingFiles(): string[] {
  return list(FINDINGS).filter((file) => file.endsWith('.hex'))
}

export function targetOfFinding(file: string): string {
  return file.slice(0, file.lastIndexOf('-'))
}

/** @returns the file's path */
export function writeFinding(folder: string, target: string, input: Uint8Array, error: string): string {
  mkdirSync(folder, { recursive: true })
  const hash = createHash('sha256').update(input).digest('hex').slice(0, 12)
  const file = join(folder, `${target}-${hash}.hex`)
  const [what = ''] = error.split('\n')
  writeFileSync(file, `# ${what.slice(0, 200)}\n${Buffer.from(input).toString('hex')}\n`)
  return file
}

function read(file: string): Buffer[] {
  return textOf(file)
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .slice(0, -1)
    .map((line) => Buffer.from(line, 'hex'))
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}
