// What to call somebody who gave no name: always the same for the same volunteer, and nothing that leads to a person.
const manners = (
  'Calm Merry Quiet Brave Gentle Lucky Sunny Patient ' + 'Witty Humble Jolly Nimble Honest Dapper Mellow Keen'
).split(' ');
const dishes = (
  'Radish Dumpling Fennel Lentil Pretzel Apricot Chestnut Paprika Quince Ravioli Saffron Turnip Biscuit Walnut Sorrel Pumpkin ' +
  'Noodle Olive Parsnip Waffle Cardamom Plum Barley Muffin Leek Truffle Ginger Crumpet Tomato Almond Thyme Pickle'
).split(' ');

export function alias(volunteer: string): string {
  const bytes = Number.parseInt(volunteer.slice(0, 8), 16);
  if (!Number.isFinite(bytes)) return 'Somebody';
  const manner = manners[bytes % manners.length];
  const dish = dishes[Math.floor(bytes / manners.length) % dishes.length];
  return `${manner} ${dish}`;
}

/** The name that somebody chose, or an alias. */
export function called(name: string | undefined, volunteer: string): string {
  return name?.trim() || alias(volunteer);
}
