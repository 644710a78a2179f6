// What people type, and what they mean by it: titles that belong among the first ten hits, on both engines.

/** Korean titles that the catalogue does not have; made by the test. */
export const korean = [
    '해리 포터와 마법사의 돌', '해리 포터와 비밀의 방', '기생충', '올드보이', '괴물', '부산행', '살인의 추억', '오징어 게임', '사랑의 불시착', '응답하라 1988',
    '도깨비', '미생', '신과함께: 죄와 벌', '신과함께: 인과 연', '극한직업', '명량', '국제시장', '베테랑', '택시운전사', '범죄도시', '범죄도시 2', '파묘', '서울의 봄',
    '타짜', '왕의 남자', '해운대', '설국열차', '친절한 금자씨', '이상한 변호사 우영우', '나의 아저씨',
];

const potter = ['해리 포터와 마법사의 돌', '해리 포터와 비밀의 방'];

/** [what is typed, titles]; `mistaken`: only Elasticsearch forgives it. */
export const queries = [
    // whole titles, in any case
    ['The Matrix', ['The Matrix']], ['titanic', ['Titanic']], ['INCEPTION', ['Inception']], ['avatar', ['Avatar']], ['Toy Story', ['Toy Story', 'Toy Story 2', 'Toy Story 3']],
    ['The Godfather', ['The Godfather', 'The Godfather: Part II', 'The Godfather: Part III']], ['Pulp Fiction', ['Pulp Fiction']], ['Ratatouille', ['Ratatouille']],
    ['Alien', ['Alien', 'Aliens']], ['Jaws', ['Jaws', 'Jaws 2']], ['Shrek', ['Shrek', 'Shrek 2', 'Shrek the Third']], ['Twilight', ['Twilight']], ['WALL-E', ['WALL-E']],
    ['Monsters, Inc.', ['Monsters, Inc.']], ['ｊｕｒａｓｓｉｃ　ｐａｒｋ', ['Jurassic Park', 'Jurassic Park 3']], ['Spider-Man', ['Spider-Man', 'Spider-Man 2', 'Spider-Man 3']],
    // parts, words in another order, beginnings
    ['dark knight', ['The Dark Knight']], ['forrest', ['Forrest Gump']], ['gump', ['Forrest Gump']], ['shawsh', ['The Shawshank Redemption']], ['schindler', ["Schindler's List"]],
    ['kill bill volume', ['Kill Bill: Volume 1', 'Kill Bill: Volume 2']], ['potter prisoner', ['Harry Potter and the Prisoner of Azkaban']],
    ['azkaban harry', ['Harry Potter and the Prisoner of Azkaban']], ['two towers', ['The Lord of the Rings: The Two Towers']],
    ['lord of the rings', ['The Lord of the Rings: The Two Towers', 'The Lord of the Rings: The Return of the King']], ['nemo', ['Finding Nemo']],
    ['caribbean', ["Pirates of the Caribbean: Dead Man's Chest", "Pirates of the Caribbean: At World's End"]], ['empire strikes', ['Star Wars Ep. V: The Empire Strikes Back']],
    ['silence lambs', ['The Silence of the Lambs']], ['incredi', ['The Incredibles']], ['crouching tiger', ['Crouching Tiger, Hidden Dragon']], ['amélie', ["Le Fabuleux destin d'Amélie Poulain"]],
    ['impossible', ['Mission: Impossible', 'Mission: Impossible 2', 'Mission: Impossible III']], ['toystory', ['Toy Story', 'Toy Story 2', 'Toy Story 3']],
    // Korean titles and parts of them, with and without blanks, and what people add
    ['해리 포터', potter], ['해리포터', potter], ['마법사', ['해리 포터와 마법사의 돌']], ['포터 마법사', ['해리 포터와 마법사의 돌']], ['기생충', ['기생충']],
    ['살인', ['살인의 추억']], ['추억', ['살인의 추억']], ['오징어게임', ['오징어 게임']], ['사랑의불시착', ['사랑의 불시착']], ['불시착', ['사랑의 불시착']],
    ['응답하라', ['응답하라 1988']], ['1988', ['응답하라 1988']], ['신과함께', ['신과함께: 죄와 벌', '신과함께: 인과 연']], ['범죄 도시', ['범죄도시', '범죄도시 2']],
    ['범죄도시 2', ['범죄도시 2']], ['변호사', ['이상한 변호사 우영우']], ['우영우', ['이상한 변호사 우영우']], ['금자씨', ['친절한 금자씨']], ['아저씨', ['나의 아저씨']],
    ['봄', ['서울의 봄']], ['방', ['해리 포터와 비밀의 방']], ['부산', ['부산행']],
    // initial consonants
    ['ㅎㄹㅍㅌ', potter], ['ㄱㅅㅊ', ['기생충']], ['ㅇㄷㅂㅇ', ['올드보이']], ['ㅂㅅㅎ', ['부산행']], ['ㅇㅈㅇ ㄱㅇ', ['오징어 게임']], ['ㅄㅎ', ['부산행']], ['ㄱㅁ', ['괴물']], ['ㅂㅈㄷㅅ2', ['범죄도시 2']],
    // mistakes
    ['godfathr', ['The Godfather', 'The Godfather: Part II'], 'mistaken'], ['inceptoin', ['Inception'], 'mistaken'], ['titanik', ['Titanic'], 'mistaken'],
    ['shawshenk redemption', ['The Shawshank Redemption'], 'mistaken'], ['jurasic park', ['Jurassic Park'], 'mistaken'], ['pirates of the caribean', ["Pirates of the Caribbean: Dead Man's Chest"], 'mistaken'],
    ['gladiater', ['Gladiator'], 'mistaken'], ['헤리포터', potter, 'mistaken'], ['택시윤전사', ['택시운전사'], 'mistaken'], ['설국열챠', ['설국열차'], 'mistaken'],
];
