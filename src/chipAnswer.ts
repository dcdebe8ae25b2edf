/** DE 55 of an answer: the response cryptogram (tag 91) and the command that the chip is to get (71, 72). */
import { assert } from './assert.ts'
import type { Answered } from './passage.ts'
import { APPROVED, PARTIALLY_APPROVED } from './response/responseCodes.ts'
import { writeChipAnswer, type ChipScript } from './security/chipData.ts'
import type { Hsm, ScriptRequest } from './security/hsm.ts'

/** @returns a field an answer, in order @throws what the HSM throws where it cannot be reached */
export async function chipAnswers(hsm: Hsm, batch: readonly Answered[]): Promise<Buffer[]> {
  const cryptograms = await hsm.responseCryptograms(
    batch.map(({ passage, result: { responseCode } }) => {
      const session = passage.verified?.session
      assert(session !== undefined, 'only who verified a cryptogram answers with one')
      return { session, responseCode, approved: responseCode === APPROVED || responseCode === PARTIALLY_APPROVED }
    }),
  )
  const scripts = await scriptsOf(hsm, batch)
  return batch.map((answered, index) => {
    const cryptogram = cryptograms[index]
    assert(cryptogram !== undefined, 'each answer has a cryptogram')
    return writeChipAnswer({ issuerAuthenticationData: cryptogram, scripts: scripts.get(answered) ?? [] })
  })
}

async function scriptsOf(hsm: Hsm, batch: readonly Answered[]): Promise<Map<Answered, ChipScript[]>> {
  const asked = batch.flatMap((answered) => {
    const request = scriptRequestOf(answered)
    return request === undefined ? [] : [{ answered, request }]
  })
  if (asked.length === 0) return new Map()
  const made = await hsm.scriptCommands(asked.map(({ request }) => request))
  return new Map(
    asked.map(({ answered }, index) => {
      const outcome = made[index]
      return [
        answered,
        outcome?.kind === 'made' ? [{ when: 'after', identifier: SCRIPT_IDENTIFIER, commands: [outcome.apdu] }] : [],
      ]
    }),
  )
}

/** 9F18: there is one kind of script. */
const SCRIPT_IDENTIFIER = Buffer.from([0, 0, 0, 1])

/** A repeat gets the answer of its original, but commands go out once. */
function scriptRequestOf({ passage, result }: Answered): ScriptRequest | undefined {
  const { card, transaction } = passage
  const { credentials } = transaction
  if (card === undefined || card.issuerScript === null || result.replayed) return undefined
  if (credentials?.chip === undefined || credentials.profile.chip === undefined) return undefined
  const { scheme, scriptKey } = credentials.profile.chip
  const { atc, cryptogram, issuerApplicationData } = credentials.chip.chip
  return {
    scheme,
    key: scriptKey,
    pan: credentials.pan.reveal(),
    psn: card.psn,
    atc,
    cryptogram,
    issuerApplicationData,
    command: card.issuerScript,
  }
}
