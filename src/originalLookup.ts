/** What the ledger is asked of a message before it is decided: the original that it refers to, and whether it was answered before itself. */
import { answerName } from './ledger/answers.ts'
import type { StoredAnswer } from './ledger/commitItem.ts'
import type { Ledger } from './ledger/ledger.ts'
import { keyQuestion, originalOf, referenceQuestion, type Passage } from './passage.ts'

/** Load original: what a completion, refund or reversal refers to is read from the ledger itself. @throws what the ledger throws */
export async function findOriginals(ledger: Ledger, batch: readonly Passage[]): Promise<void> {
  const byKey = batch.filter((passage) => originalOf(passage).by === 'key')
  const byReference = batch.filter((passage) => originalOf(passage).by === 'reference')
  const [keyed, referenced] = await Promise.all([
    byKey.length === 0 ? [] : ledger.originalsByKey(byKey.map((passage) => keyQuestion(originalOf(passage)))),
    byReference.length === 0 ? [] : ledger.originalsByReference(byReference.map(referenceQuestion)),
  ])
  for (const [index, passage] of byKey.entries()) passage.original = keyed[index]
  for (const [index, passage] of byReference.entries()) passage.original = referenced[index]
}

/** @returns what was answered under the key of each message, in order; undefined where nothing was @throws what the ledger throws */
export async function storedAnswers(ledger: Ledger, batch: readonly Passage[]): Promise<(StoredAnswer | undefined)[]> {
  const keys = batch.map(({ key, transaction: { keyDate } }) => ({ key, keyDate }))
  const stored = await ledger.answers(keys)
  return keys.map((key) => stored.get(answerName(key)))
}
