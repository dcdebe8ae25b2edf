/** Where cards of the demo programme are collected: a Diwan and a post office in each governorate, more in the pilot's. */
import type { PlaceKind } from '../ledger/programme/places.ts'
import { PILOT_GOVERNORATE } from './demo.ts'
import { GOVERNORATES, type Governorate } from './governorates.ts'

export interface DemoPlace {
  /** `post-03-1`, `diwan-03`. */
  readonly placeId: string
  readonly kind: PlaceKind
  readonly governorate: number
  readonly nameAr: string
  readonly nameEn: string
  readonly address: string
}

const POST_OFFICES_OF_PILOT = 3

export function demoPlaces(): DemoPlace[] {
  return GOVERNORATES.flatMap((governorate) => [
    place(governorate, 'diwan', `diwan-${twoDigits(governorate)}`, ['ديوان عام محافظة', 'Diwan of'], 'Corniche'),
    ...Array.from({ length: governorate.number === PILOT_GOVERNORATE ? POST_OFFICES_OF_PILOT : 1 }, (_, index) => {
      const number = String(index + 1)
      const names = [`مكتب بريد ${number}`, `Post office ${number},`] as const
      return place(governorate, 'post-office', `post-${twoDigits(governorate)}-${number}`, names, `${number} Post Street`)
    }),
    ...(governorate.number === PILOT_GOVERNORATE ? placesOfPilot(governorate) : []),
  ])
}

function placesOfPilot(governorate: Governorate): DemoPlace[] {
  const code = twoDigits(governorate)
  return [
    place(governorate, 'supply-office', `supply-${code}-1`, ['مكتب تموين', 'Supply office,'], '1 Market Street'),
    place(governorate, 'uhi-centre', `uhi-${code}-1`, ['مركز التأمين الصحي', 'UHI centre,'], '1 Hospital Street'),
  ]
}

function place(
  { number, nameAr, nameEn }: Governorate,
  kind: PlaceKind,
  placeId: string,
  [prefixAr, prefixEn]: readonly [string, string],
  address: string,
): DemoPlace {
  const names = { nameAr: `${prefixAr} ${nameAr}`, nameEn: `${prefixEn} ${nameEn}` }
  return { placeId, kind, governorate: number, ...names, address: `${address}, ${nameEn}` }
}

function twoDigits({ number }: Governorate): string {
  return String(number).padStart(2, '0')
}
