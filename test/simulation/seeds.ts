/**
 * Seeds that broke a promise once, as the simulation was then: what each found is in RELIABILITY.md, with a smaller test
 * where there could be one.
 */
export const seeds: readonly number[] = [
  65, 90, 165, 215, 299, 384, 389, 1169, 1199, 1200, 1377, 1432, 1437, 1540, 5106, 123, 698956457, 704556298, 704562577,
  705630681, 710130937,
];
