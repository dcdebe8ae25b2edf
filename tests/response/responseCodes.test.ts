import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { DECLINE_REASONS } from '../../src/decision/decision.ts'
import {
  APPROVED,
  CODE_OF_REASON,
  FILE_CODE_OF_REASON,
  MEANING_OF_CODE,
  PARTIALLY_APPROVED,
} from '../../src/response/responseCodes.ts'

const document = readFileSync(new URL('../../spec/response-codes.md', import.meta.url), 'utf8')

/** Rows of the table under a heading: cells, without the head. */
function tableUnder(heading: string): string[][] {
  const section = document.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim().replaceAll('`', '')),
    )
}

it('the document lists the reasons that the switch gives, in the order of the checks, with their codes', () => {
  const documented = tableUnder('In the order of the checks').map(([reason, code]) => [reason, code])
  expect(documented).toEqual(DECLINE_REASONS.map((reason) => [reason, CODE_OF_REASON[reason]]))
})

it('the document lists the codes with their meanings', () => {
  expect(tableUnder('Codes').map(([code, meaning]) => [code, meaning])).toEqual(
    Object.entries(MEANING_OF_CODE).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
})

it('the document lists why a file update is declined', () => {
  const documented = tableUnder('File updates').map(([reason, code]) => [reason, code])
  expect(documented).toEqual(Object.entries(FILE_CODE_OF_REASON))
})

it('code and list have the same order', () => {
  expect(Object.keys(CODE_OF_REASON)).toEqual([...DECLINE_REASONS])
})

it('every code has a meaning, and every meaning a reason', () => {
  const given = new Set([APPROVED, PARTIALLY_APPROVED, ...Object.values(CODE_OF_REASON), ...Object.values(FILE_CODE_OF_REASON)])
  expect(new Set(Object.keys(MEANING_OF_CODE))).toEqual(given)
})
