/** How `sarf send` shows a request and its answer. Card data is masked. */
import { describeFields, fieldLine } from '../iso8583/describe.ts'
import { mtiMeaning } from '../iso8583/meaning.ts'
import type { Message } from '../iso8583/message.ts'
import { MEANING_OF_CODE } from '../response/responseCodes.ts'
import type { Target } from './ask.ts'
import type { SendKind } from './transactionMessage.ts'

export interface Report {
  readonly kind: SendKind
  readonly target: Target
  readonly request: Message
  readonly answer: Message
  readonly elapsedMs: number
}

export function reportText({ kind, target, request, answer, elapsedMs }: Report): string {
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
    '',
  ].join('\n')
}

export function reportJson({ kind, target, request, answer, elapsedMs }: Report): string {
  const code = answer.text(39)
  return (
    JSON.stringify({
      transaction: kind,
      target,
      request: messageData(request),
      answer: messageData(answer),
      responseCode: code,
      meaning: meaningOf(code),
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
