/** All targets by name. Imported when they are used: a worker has to count their branches before they are loaded. */
import type { Target } from './target.ts'

const TARGETS: Readonly<Record<string, () => Promise<Target>>> = {
  frames: async () => (await import('./targets/frames.ts')).frames,
  messageAscii: async () => (await import('./targets/message.ts')).message('ascii'),
  messageBcd: async () => (await import('./targets/message.ts')).message('bcd'),
  messageHex: async () => (await import('./targets/message.ts')).message('hex'),
  describe: async () => (await import('./targets/describe.ts')).describe,
  berTlv: async () => (await import('./targets/berTlv.ts')).berTlv,
  privateData: async () => (await import('./targets/subfields.ts')).privateData,
  additionalAmounts: async () => (await import('./targets/subfields.ts')).additionalAmounts,
  originalData: async () => (await import('./targets/subfields.ts')).originalData,
  replacementAmounts: async () => (await import('./targets/subfields.ts')).replacementAmounts,
  answers: async () => (await import('./targets/answers.ts')).answers,
  authorizations: async () => (await import('./targets/authorizations.ts')).authorizations,
  classify: async () => (await import('./targets/classify.ts')).classify,
  chipData: async () => (await import('./targets/chipData.ts')).chipData,
  keyBlock: async () => (await import('./targets/keyBlock.ts')).keyBlock,
}

/** Of the fuzzer's own test. */
const PLANTED: Readonly<Record<string, () => Promise<Target>>> = {
  planted: async () => (await import('./planted.ts')).planted,
  plantedHang: async () => (await import('./planted.ts')).plantedHang,
}

export const TARGET_NAMES: readonly string[] = Object.keys(TARGETS)

export async function loadTarget(name: string): Promise<Target> {
  const load = TARGETS[name] ?? PLANTED[name]
  if (load === undefined) throw new Error(`there is no target ${name}; there are ${TARGET_NAMES.join(', ')}`)
  return load()
}
