#include "demo_texts.h"

#define WORDS(...) \
    { (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *) }

const struct demo_words demo_family_names = WORDS("김", "이", "박", "최", "정", "강", "조", "윤", "장", "임", "한", "오", "서",
                                                  "신", "권", "황", "안", "송", "류", "홍", "김", "이", "박");
const struct demo_words demo_given_names = WORDS(
    "서연", "민준", "지우", "하준", "서윤", "도윤", "지민", "시우", "하은", "주원", "수아", "예준", "지아", "건우", "다은", "현우",
    "채원", "지훈", "은서", "준서", "유나", "우진", "소율", "선우", "가은", "연우", "나윤", "정우", "예린", "승현", "민서", "유진",
    "아린", "태윤", "보라", "동현", "혜진", "성민", "수빈", "재원", "하늘", "별", "슬기", "한결", "미르", "경희", "영수", "정숙");
const struct demo_words demo_latin_first_names =
    WORDS("Emma", "Liam", "Sofía", "Noah", "Chloé", "Lucas", "Mia", "Jürgen", "Ana", "Oliver", "Zoë", "Mateo", "Ingrid", "Daniel",
          "Freya", "Marek", "Nora", "Hugo", "Elif", "Owen", "Léa", "Björn", "Priya", "Tomás");
const struct demo_words demo_latin_last_names =
    WORDS("Smith", "García", "Müller", "Rossi", "Novák", "Dubois", "Jensen", "O'Brien", "Silva", "Kowalski", "Lindqvist", "Brown",
          "Yılmaz", "Moreau", "Fischer", "Costa", "Walker", "Nielsen", "Sharma", "de Vries");

const struct demo_words demo_openings[DEMO_LANGUAGES][DEMO_MOODS] = {
    [DEMO_KOREAN] = {[DEMO_BAD] = WORDS("기대가 너무 컸나 봐요.", "솔직히 아쉬웠어요.", "저랑은 안 맞았어요.",
                                        "중간에 몇 번이나 시계를 봤네요.", "추천받아서 봤는데 실망이에요."),
                     [DEMO_FAIR] = WORDS("무난하게 볼 만해요.", "나쁘지 않았어요.", "기대 없이 봤는데 괜찮네요.",
                                         "호불호가 갈릴 것 같아요.", "한 번쯤은 볼 만합니다."),
                     [DEMO_GOOD] = WORDS("정말 좋았어요!", "오랜만에 푹 빠져서 봤어요.", "인생작으로 꼽고 싶어요.",
                                         "끝나고도 여운이 오래 남네요.", "시간 가는 줄 몰랐어요.")},
    [DEMO_ENGLISH] = {
        [DEMO_BAD] = WORDS("Not for me.", "I wanted to like this one.", "A letdown, sadly.", "I kept checking the clock."),
        [DEMO_FAIR] = WORDS("Decent enough.", "Better than I expected.", "A solid way to spend an evening.", "A mixed bag."),
        [DEMO_GOOD] = WORDS("Absolutely loved it!", "One of my favourites.", "This stays with you.", "What a ride.")}};
const struct demo_words demo_middles[DEMO_LANGUAGES][DEMO_SUBJECTS] = {
    [DEMO_KOREAN] = {[DEMO_FILM] = WORDS("배우들의 연기가 특히 기억에 남고,", "음악이 장면마다 잘 어울렸고,",
                                         "초반은 조금 느리지만,", "대사 하나하나가 인상적이었고,", "결말은 호불호가 있겠지만,",
                                         "화면의 색감이 독특했고,", "주인공의 선택이 계속 생각나고,", "조연들의 존재감이 컸고,"),
                     [DEMO_MATCH] = WORDS("중원 싸움이 치열했고,", "후반 교체가 흐름을 바꿨고,", "골키퍼 선방이 눈에 띄었고,",
                                          "전반은 조심스러웠지만,", "세트피스 상황이 많았고,", "양 팀 모두 물러서지 않았고,")},
    [DEMO_ENGLISH] = {[DEMO_FILM] =
                          WORDS("The cast carries every scene,", "The score fits perfectly,", "The first act takes its time,",
                                "The dialogue is sharp,", "The ending will split the room,", "It looks gorgeous,"),
                      [DEMO_MATCH] = WORDS("The midfield battle was intense,", "The second half changed everything,",
                                           "Both keepers had a busy day,", "It started slowly,", "Set pieces decided a lot,")}};
const struct demo_words demo_closings[DEMO_LANGUAGES][DEMO_MOODS] = {
    [DEMO_KOREAN] = {[DEMO_BAD] = WORDS("다시 볼 것 같지는 않아요.", "그래도 끝까지 보긴 했어요.", "다른 분들 의견이 궁금하네요."),
                     [DEMO_FAIR] = WORDS("가볍게 보기 좋아요.", "친구랑 보면 더 재밌을 듯해요.", "한 번으로 충분한 것 같아요."),
                     [DEMO_GOOD] = WORDS("주변에 꼭 추천할게요.", "곧 다시 볼 생각이에요.", "별점이 아깝지 않아요.",
                                         "플레이리스트에 바로 담았어요.")},
    [DEMO_ENGLISH] = {
        [DEMO_BAD] = WORDS("but I would not watch it twice.", "but it never came together.", "yet I was waiting for the end."),
        [DEMO_FAIR] = WORDS("so once is enough.", "and it is good company on a rainy day.", "but I have seen better."),
        [DEMO_GOOD] = WORDS("and I would watch it again tomorrow.", "and I told everyone about it.", "and it earns every star.")}};

const struct demo_theme demo_themes[] = {
    {"Drama", {"드라마 영화", "drama"}},
    {"Comedy", {"코미디 영화", "comedy"}},
    {"Action", {"액션 영화", "action"}},
    {"Adventure", {"모험 영화", "adventure"}},
    {"Thriller/Suspense", {"스릴러 영화", "thrillers"}},
    {"Horror", {"공포 영화", "horror"}},
    {"Romantic Comedy", {"로맨틱 코미디", "romantic comedy"}},
    {"Musical", {"뮤지컬 영화", "musicals"}},
    {"Documentary", {"다큐멘터리", "documentaries"}},
    {"Western", {"서부 영화", "westerns"}},
    {"English Premier League", {"프리미어리그 경기", "Premier League"}},
    {"Primera Division", {"라리가 경기", "La Liga"}},
    {"Serie A", {"세리에 A 경기", "Serie A"}},
    {"Deutsche Bundesliga", {"분데스리가 경기", "Bundesliga"}},
};
const size_t demo_theme_count = sizeof demo_themes / sizeof *demo_themes;

const struct demo_frame demo_titles[DEMO_LANGUAGES][DEMO_FRAMES] = {[DEMO_KOREAN] = {{"주말에 보는 ", ""},
                                                                                     {"꼭 봐야 할 ", ""},
                                                                                     {"내가 아끼는 ", " 모음"},
                                                                                     {"비 오는 날의 ", ""},
                                                                                     {"다시 보고 싶은 ", ""},
                                                                                     {"", " 정주행 목록"}},
                                                                    [DEMO_ENGLISH] = {{"Best of ", ""},
                                                                                      {"Weekend ", ""},
                                                                                      {"My ", " shelf"},
                                                                                      {"Rainy day ", ""},
                                                                                      {"Worth another look: ", ""},
                                                                                      {"All about ", ""}}};
const struct demo_words demo_descriptions[DEMO_LANGUAGES] = {
    [DEMO_KOREAN] = WORDS("천천히 채워 가는 목록이에요.", "하나씩 보면서 순서를 바꾸고 있어요.", "추천은 언제나 환영해요!",
                          "친구들과 함께 고른 작품들이에요.", "볼 때마다 새로운 것들만 모았어요."),
    [DEMO_ENGLISH] = WORDS("A list that keeps growing.", "Picked together with friends.", "Suggestions are welcome!",
                           "In no particular order.")};
