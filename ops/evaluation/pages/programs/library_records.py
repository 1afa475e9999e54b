"""The music that `gtk4_library` shows, as `English|Deutsch`."""

SOURCES = (
    ("albums", "media-optical-symbolic", "Albums|Alben"),
    ("artists", "avatar-default-symbolic", "Artists|Interpreten"),
    ("songs", "audio-x-generic-symbolic", "Songs|Titel"),
    ("genres", "folder-music-symbolic", "Genres"),
    ("podcasts", "audio-input-microphone-symbolic", "Podcasts"),
    ("radio", "network-wireless-symbolic", "Radio"),
    ("recent", "document-open-recent-symbolic", "Recent|Zuletzt"),
    ("starred", "starred-symbolic", "Favourites|Favoriten"),
    ("shared", "folder-publicshare-symbolic", "Shared|Geteilt"),
    ("trash", "user-trash-symbolic", "Trash|Papierkorb"),
)
LISTS = (
    "Morning|Morgens",
    "Driving|Autofahrt",
    "Piano|Klavier",
    "Party",
    "Running|Laufen",
    "Rainy day|Regentag",
    "Work|Arbeit",
)
TRACKS = (
    ("Prelude|Vorspiel", "Lena Hartung", "3:12"),
    ("Harbour lights|Hafenlichter", "Lena Hartung", "4:47"),
    ("Interlude|Zwischenspiel", "Lena Hartung", "1:05"),
    ("Seven bridges|Sieben Brücken", "Lena Hartung & Joao Reis", "5:20"),
    ("Interlude|Zwischenspiel", "Lena Hartung", "1:09"),
    ("Stone and water|Stein und Wasser", "Lena Hartung", "4:02"),
    ("Letter from Porto|Brief aus Porto", "Joao Reis", "3:58"),
    ("Night train|Nachtzug", "Lena Hartung", "6:14"),
    ("Reprise", "Lena Hartung", "2:31"),
    ("The long way home|Der lange Heimweg", "Lena Hartung", "7:40"),
    ("Postlude|Nachspiel", "Lena Hartung", "2:55"),
)
TAGS = (
    ("title", "Title|Titel", "Harbour lights|Hafenlichter"),
    ("artist", "Artist|Interpret", "Lena Hartung"),
    ("album", "Album", "Seven bridges|Sieben Brücken"),
    ("composer", "Composer|Komponist", "L. Hartung"),
    ("genre", "Genre", "Jazz"),
    ("year", "Year|Jahr", "2023"),
    ("track", "Track|Nummer", "2 / 11"),
    ("comment", "Comment|Kommentar", ""),
)
