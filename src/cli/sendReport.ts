/** How `sarf send` shows a request and its answer. Card data is masked. */
import { describeFields, fieldLine } from '../iso8583/describe.ts'
import { mtiMeaning } from '../iso8583/meaning.ts'
import type { Message } from '../iso8583/message.ts'
import type { AccountTypes, PurseDefinition } from '../programmeParameters.ts'
import { MEANING_OF_CODE } from '../response/responseCodes.ts'
import { checkLines, type AnswerChecks } from './answerChecks.ts'
import type { Target } from './ask.ts'
import { outcomeLines, outcomeOf } from './sendOutcome.ts'
import type { SendKind } from './transactionMessage.ts'

export interface Report {
  readonly kind: SendKind
  readonly target: Target
  readonly request: Message
  readonly answer: Message
  readonly elapsedMs: number
  readonly checks: AnswerChecks
  /** Purses by account type, as the link that was spoken to understands them, and what they are counted in. */
  readonly accountTypes: AccountTypes
  readonly purses: readonly PurseDefinition[]
}

export function reportText(report: Report): string {
  const { kind, target, request, answer, elapsedMs } = report
  const { host, port, spec, framing } = target
  const code = answer.text(39)
  return [
    `${kind} to ${host}:${port} (${spec}, ${framing})`,
    '',
    ...messageLines('request', request),
    '',
    ...messageLines('answer', answer),
    '',
    `${code ?? 'no response code'}  ${meaningOf(code)}, ${elapsedMs.toFixed(1)} ms`,
    ...outcomeLines(outcomeOf(answer, report)),
    ...checkLines(report.checks),
    '',
  ].join('\n')
}

export function reportJson(report: Report): string {
  const { kind, target, request, answer, elapsedMs } = report
  const code = answer.text(39)
  return (
    JSON.stringify({
      transaction: kind,
      target,
      request: messageData(request),
      answer: messageData(answer),
      responseCode: code,
      meaning: meaningOf(code),
      outcome: outcomeOf(answer, report),
      checks: report.checks,
      elapsedMs: Number(elapsedMs.toFixed(3)),
    }) + '\n'
  )
}

function meaningOf(code: string | undefined): string {
  return (code === undefined ? undefined : MEANING_OF_CODE[code]) ?? 'No meaning known'
}

function messageLines(title: string, message: Message): string[] {
  const lines = [`${title}  ${message.mti}  ${mtiMeaning(message.mti)}`]
  for (const field of describeFields(message, { mask: true })) {
    lines.push(`  ${fieldLine(field)}`.trimEnd())
    for (const { name, value, meaning } of field.parts) {
      lines.push(`${' '.repeat(PART_INDENT)}${name.padEnd(PART_WIDTH)} ${value}${meaning === '' ? '' : `  (${meaning})`}`)
    }
  }
  return lines
}

/** Parts stand under the name of their field. */
const PART_INDENT = 20
const PART_WIDTH = 44

function messageData(message: Message): object {
  return {
    mti: message.mti,
    fields: describeFields(message, { mask: true }).map(({ de, name, value, meaning, parts }) => ({
      de,
      name,
      value,
      ...(meaning === '' ? {} : { meaning }),
      ...(parts.length === 0 ? {} : { parts }),
    })),
  }
}
