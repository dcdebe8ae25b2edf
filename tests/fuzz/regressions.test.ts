/** What fuzzing has found, and the inputs it found interesting, on each run of the tests. */
import { describe, expect, it } from 'vitest'
import { findingFiles, readCorpus, readFindings, targetOfFinding } from './inputFiles.ts'
import type { Target } from './target.ts'
import { loadTarget, TARGET_NAMES } from './targets.ts'

describe.each(TARGET_NAMES)('%s', (name) => {
  it('keeps its promises for every input that once broke one', async () => {
    const target = await loadTarget(name)
    for (const input of readFindings(name)) await runs(target, input)
  })

  it('keeps its promises for seeds and corpus, and takes some of them and refuses others', async () => {
    const target = await loadTarget(name)
    const verdicts = new Set<string>()
    for (const input of [...target.seeds, ...readCorpus(name)]) verdicts.add(await runs(target, input))
    expect([...verdicts].sort()).toEqual(['accepted', 'rejected'])
  })
})

it('every finding belongs to a target and holds an input', () => {
  for (const file of findingFiles()) {
    expect(TARGET_NAMES).toContain(targetOfFinding(file))
    expect(readFindings(targetOfFinding(file)).length).toBeGreaterThan(0)
  }
})

async function runs(target: Target, input: Uint8Array): Promise<string> {
  try {
    return await target.run(Buffer.from(input))
  } catch (error) {
    throw new Error(`input ${Buffer.from(input).toString('hex')}`, { cause: error })
  }
}
