/** The data elements whose content has a structure of its own: decode and encode hold them to it. */
import { parseAdditionalAmounts } from './additionalAmounts.ts'
import { tlvFault } from './berTlv.ts'
import type { Fault } from './fault.ts'
import { parseOriginalData } from './originalData.ts'
import { parsePrivateData } from './privateData.ts'
import { parseReplacementAmounts } from './replacementAmounts.ts'

export const DE_PRIVATE_DATA = 48
export const DE_ADDITIONAL_AMOUNTS = 54
export const DE_CHIP_DATA = 55
export const DE_ORIGINAL_DATA = 90
export const DE_REPLACEMENT_AMOUNTS = 95

export function isStructured(de: number): boolean {
  return STRUCTURED[de] === 1
}

/** What is wrong inside a structured text field; path and offset count from its content. */
export function structureFault(de: number, text: string): Fault | undefined {
  const parsed = parseText(de, text)
  return parsed === undefined || parsed.ok ? undefined : parsed.error
}

/** The same for DE 55, the structured binary field. */
export function chipDataFault(bytes: Uint8Array): Fault | undefined {
  return tlvFault(bytes)
}

const STRUCTURED = new Uint8Array(129)
for (const de of [DE_PRIVATE_DATA, DE_ADDITIONAL_AMOUNTS, DE_CHIP_DATA, DE_ORIGINAL_DATA, DE_REPLACEMENT_AMOUNTS])
  STRUCTURED[de] = 1

function parseText(de: number, text: string): { readonly ok: true } | { readonly ok: false; readonly error: Fault } | undefined {
  switch (de) {
    case DE_PRIVATE_DATA:
      return parsePrivateData(text)
    case DE_ADDITIONAL_AMOUNTS:
      return parseAdditionalAmounts(text)
    case DE_ORIGINAL_DATA:
      return parseOriginalData(text)
    case DE_REPLACEMENT_AMOUNTS:
      return parseReplacementAmounts(text)
    default:
      return undefined
  }
}
